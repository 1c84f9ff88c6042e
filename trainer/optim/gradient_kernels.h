// What a device does with gradients outside of programs: folds lanes, sums pieces in lane-tree order, updates weights.
// The same arithmetic, element by element, as on the host (update_rules.h), so equal sums give equal weights.
//
// All addresses are device memory. What varies from step to step is read from there when the work runs, so that work
// can be captured once.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/arena.h"
#include "base/device.h"
#include "base/shape.h"
#include "trainer/optim/update_rules.h"

namespace lockstep::optim {

/// How one lane's gradient goes into the sums of its executor: added to the `additions` topmost entries of a stack, in
/// order, or copied where there are none. Arenas are of floats or of bf16: then the gradient and each of its sums are
/// rounded. Plain data, read by the device.
struct FoldStep {
  static constexpr int kMaxAdditions = 16;  // lanes fold in a tree: 2^16 of them
  /// What the step does where gradients are added as they are written.
  enum class Added : int32_t {
    kNone,   ///< nothing is: as elsewhere
    kFirst,  ///< nothing: the next lane's are added to this one's where that lies
    kSecond  ///< the first addition has been made
  };

  std::byte* target = nullptr;
  int32_t additions = 0;
  const std::byte* addends[kMaxAdditions] = {};  ///< arenas; the last one may be `target`
  Added added = Added::kNone;
  int32_t ranges = 0;                          ///< where they are added: so many, ascending
  const ElementRange* added_ranges = nullptr;  ///< in device memory; they begin at multiples of four elements
};

/// A sum over pieces: a postfix program of piece numbers and -1 for an addition (base/lane_tree.h).
struct PieceSum {
  const std::byte* const* pieces = nullptr;  ///< each at the slice's first element
  const int32_t* order = nullptr;            ///< [2 * count - 1]
  int count = 0;
  DType wire = DType::kF32;  ///< of pieces: kF32, or kBF16, whose sums are rounded
};

/// What is known of a chunk (4,096 elements) of the summed gradient, and of its weights.
struct ChunkRecord {
  static constexpr int kLastPiece = 63;

  double squares = 0;      ///< sum of squares, in the order of optim::ChunkSumOfSquares
  int64_t nonfinite = -1;  ///< first element of the arena that is not finite
  int64_t changed = -1;    ///< first element of the chunk, where its weights are not what they were
  /// Bit k: piece k of the sum is not finite at `nonfinite`; bit kLastPiece: nor is that piece, or one behind it.
  uint64_t nonfinite_pieces = 0;
};

/// What one step has come to; decides the update where that waits for it.
struct StepOutcome {
  double norm = 0;           ///< of all parameters' summed gradients; 0 where nothing wants it
  int64_t nonfinite = -1;    ///< first element that is not finite, of the chunks that were looked at
  int64_t changed = -1;      ///< first element of the first chunk whose weights changed
  float gradient_scale = 1;  ///< what clipping makes of gradients
  int32_t skip = 0;          ///< 1: nothing is updated
};

/// What a step's conclusion has to decide.
struct ConclusionRules {
  double clip_norm = 0;         ///< above 0: sets the scale, by the norm
  bool skip_nonfinite = false;  ///< an outcome that is not finite skips the update
  bool want_norm = false;       ///< also without clipping
};

/// A contiguous part of the arena; all arrays start at element `begin`.
struct DeviceSlice {
  static constexpr int kMaxStates = 3;

  int64_t begin = 0;
  int64_t size = 0;
  float* weights = nullptr;
  float* state[kMaxStates] = {};
};

class GradientKernels {
 public:
  virtual ~GradientKernels() = default;

  /// Elements `range` of one lane's gradient, into arenas of type `wire`.
  virtual void Fold(DeviceStream& stream, const FoldStep* step, DType wire, const float* gradient,
                    ElementRange range) = 0;

  /// Sums `slice` and keeps it: sums[i] at slice.begin + i; chunks[k] for its k-th chunk.
  virtual void Sum(DeviceStream& stream, const PieceSum& sum, const DeviceSlice& slice, float* sums,
                   ChunkRecord* chunks) = 0;
  /// Updates `slice` with sums kept before, unless the outcome says to skip. `rules` has `segments` entries, ascending.
  virtual void Update(DeviceStream& stream, const SegmentRules* rules, int segments, const StepOutcome* outcome,
                      const float* sums, const DeviceSlice& slice) = 0;
  /// Both at once, with unscaled gradients.
  virtual void SumAndUpdate(DeviceStream& stream, const PieceSum& sum, const SegmentRules* rules, int segments,
                            const DeviceSlice& slice, ChunkRecord* chunks) = 0;

  /// hashes[k]: of the weights of the slice's k-th chunk, 64 bits that follow from all of theirs and their places.
  virtual void Hash(DeviceStream& stream, const DeviceSlice& slice, uint64_t* hashes) = 0;
  /// Notes in chunks[k].changed whether they still hash to hashes[k].
  virtual void CompareHashes(DeviceStream& stream, const DeviceSlice& slice, const uint64_t* hashes,
                             ChunkRecord* chunks) = 0;

  /// Over all `count` chunks of the arena: the first element that is not finite; where the rules have a use for it, the
  /// norm of the first `parameter_chunks`, chunk sums added in index order: one chain of additions, which takes time.
  virtual void Conclude(DeviceStream& stream, const ChunkRecord* chunks, int64_t count, int64_t parameter_chunks,
                        const ConclusionRules& rules, StepOutcome* outcome) = 0;
};

}  // namespace lockstep::optim
