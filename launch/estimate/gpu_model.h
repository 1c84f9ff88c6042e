// How long a step takes on a GPU that need not be here: from the card's figures, and from what the kernels of each op
// read, write and compute. An estimate: nothing of it is measured. It is to tell which ops a step goes to before a card
// is paid for, and to be held against the first profile.
//
// An op takes the longest of its arithmetic (products by the rate of tensor cores, all else by its instructions), its
// bytes (its operands, as often as its kernels read and write them) and one launch; a convolution, whose parts overlap
// badly, the sum of arithmetic and bytes. Products lose what their tiles leave idle of the card in the last wave, as
// trainer/kernels/cuda/dense/split_sums.h has it.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "launch/estimate/gpu_figures.h"
#include "launch/estimate/step_estimate.h"
#include "trainer/engine/program_plan.h"
#include "trainer/graph/ops.h"

namespace lockstep::launch {

/// What our kernels do, beside reading each operand once and writing each result once.
struct GpuKernels {
  /// Instructions of a thread for an element of the op's largest operand, as counted in the machine code.
  std::map<graph::OpKind, double> instructions;
  /// Likewise, of activations: forward, and the gradient.
  std::map<graph::Activation, std::pair<double, double>> activations;
  /// Likewise, where they are looked up: in bf16, of as many elements at least.
  std::map<graph::Activation, std::pair<double, double>> tabulated;
  double fewest_tabulated = 0;
  /// Bytes moved, over those of the operands.
  std::map<graph::OpKind, double> passes;
  bool splits_k = false;             ///< products add parts of long sums, so that few tiles fill the card
  bool sums_biases_apart = false;    ///< where that pays (kernels/cuda/dense/split_sums.h), also where there is a bias
  bool pads_rows = false;            ///< rows of an odd number of elements begin at multiples of 16 bytes
  bool stages_beside_lanes = false;  ///< the next batch goes up while lanes are computed
  bool lane_ahead = false;           ///< a step's first lane runs while the host concludes the step before
  double conclusion_seconds = 0;     ///< of a chunk of the arena, on one thread
  double rounding_seconds = 0;       ///< of an input's element, by the thread that sends it up
  double copy_seconds = 0;           ///< of an input's byte, by that thread, to where the card takes it from
  double host_seconds = 0;           ///< of a step, while the card is idle or in the next one's first lane
};
/// Those of this build.
GpuKernels OurKernels();

/// A kind of op in a step.
struct KindTime {
  std::string kind;
  int ops = 0;
  double seconds = 0;
  std::string bound;  ///< of most of it: "arithmetic", "instructions", "memory" or "launches"
};

struct GpuEstimate {
  StepEstimate step;
  std::vector<KindTime> kinds;  ///< the longest first
};

/// One rank's step on one card, without the exchange with others. The programs hold bf16 or float32, as they were
/// compiled.
GpuEstimate EstimateGpuStep(const StepDemand& demand, const std::vector<const engine::ProgramPlan*>& programs,
                            const GpuFigures& gpu, const GpuKernels& kernels);

}  // namespace lockstep::launch
