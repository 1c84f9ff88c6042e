// The lanes of a rank on its device: batches go up beside the lane before, each lane is one run of captured work
// (forward, backward, fold), and the host only enqueues.
//
//   copy stream     batch of lane i+1: pinned memory -> staging
//   lanes' stream   staging -> inputs; program and fold of lane i (one graph); results -> pinned memory
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/device.h"
#include "comm/device_exchange.h"
#include "comm/flight_recorder.h"
#include "data/loader.h"
#include "trainer/engine/program.h"
#include "trainer/loop/compute.h"
#include "trainer/loop/control_record.h"
#include "trainer/loop/device_kit.h"
#include "trainer/loop/job_plans.h"
#include "trainer/loop/lane_fold.h"

namespace lockstep::loop {

class DeviceLanes {
 public:
  /// `lanes`: all of this rank. On the thread that calls RunStep and Evaluate. `recorder` may be null. All outlive this.
  DeviceLanes(DeviceKit& kit, const JobPlans& plans, comm::DeviceExchange& exchange, comm::FlightRecorder* recorder,
              LaneRange lanes, int all_lanes);
  ~DeviceLanes();

  /// Enqueues forward, backward and fold of all lanes; their gradients are in the exchange's pieces when they are done.
  /// Returns when all is enqueued: an event of each bucket, and one of the end, then are recorded.
  void RunStep(uint64_t seed, float loss_scale, const StepWork& work);
  DeviceEvent& bucket_ready(int bucket) { return *bucket_ready_[static_cast<size_t>(bucket)]; }
  DeviceEvent& finished() { return *finished_; }
  /// After finished(): losses and counters.
  void ReadResults(std::span<LaneRecord> records) const;
  double load_seconds() const { return load_seconds_; }

  /// The next Evaluate packs the weights first. (Not here: on a rank without blocks to evaluate nothing would wait for
  /// the packing, which reads weights that the host may store anew.)
  void PrepareEvaluation() { pack_due_ = true; }
  /// Forward of one block; waits for its end.
  LaneRecord Evaluate(const data::LaneBatch& block);

 private:
  /// One kind of program, with its inputs, its packed weights, and both as captured work.
  struct Captured {
    std::unique_ptr<DeviceMemory> inputs, packed_memory;
    std::unique_ptr<engine::PackedWeights> packed;
    std::unique_ptr<engine::Program> program;
    std::unique_ptr<DeviceGraph> pack, run;
  };
  /// A batch on its way up.
  struct Slot {
    std::unique_ptr<DeviceMemory> pinned, staging;
    std::unique_ptr<DeviceEvent> uploaded, taken;
  };

  void Prepare(Captured& captured, std::shared_ptr<const engine::ProgramPlan> plan, float* gradients);
  void CaptureTraining(float* gradients);
  void PlanFold(int all_lanes);
  Slot& FillSlot(const engine::ProgramPlan& plan, const data::LaneBatch& batch);
  void Upload(Slot& slot, Captured& captured, size_t bytes);
  void CopyResults(const Captured& captured, int64_t* to);

  DeviceKit& kit_;
  const JobPlans& plans_;
  comm::DeviceExchange& exchange_;
  comm::FlightRecorder* recorder_;
  const LaneRange lanes_;
  std::unique_ptr<DeviceStream> copies_;
  std::unique_ptr<DeviceMemory> arena_, workspace_, gradients_, fold_step_;
  std::vector<std::unique_ptr<DeviceMemory>> stack_;  ///< arenas of the fold, above the pieces
  std::vector<optim::FoldStep> fold_;                 ///< by lane
  Captured train_, evaluate_;
  std::array<Slot, 2> slots_;
  size_t next_slot_ = 0;
  size_t fold_offset_ = 0;                 ///< of the fold step in a slot, behind the inputs
  std::unique_ptr<DeviceMemory> results_;  ///< pinned: by lane, losses and then counters, 8 bytes each
  std::vector<std::unique_ptr<DeviceEvent>> bucket_ready_;
  std::unique_ptr<DeviceEvent> finished_;
  double load_seconds_ = 0;
  bool pack_due_ = false;
};

}  // namespace lockstep::loop
