// The lanes of a rank on its device: batches go up beside the lane before, each lane is one run of captured work
// (forward, backward, fold), and the host only enqueues.
//
//   copy stream     batch of lane i+1, after the last lane that of the next step's first: pinned memory -> staging
//   lanes' stream   staging -> inputs; program and fold of lane i (one graph); results -> pinned memory
//
// A step's first lane may be enqueued before the host has seen what came of the step before: then the device goes from
// that step's update to the lane by itself.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "base/device.h"
#include "comm/device/device_exchange.h"
#include "comm/flight_recorder.h"
#include "data/batches/loader.h"
#include "trainer/engine/program.h"
#include "trainer/plan/job_plans.h"
#include "trainer/step/compute.h"
#include "trainer/step/control_record.h"
#include "trainer/step/device/device_kit.h"
#include "trainer/step/lane_fold.h"

namespace lockstep::step {

class DeviceLanes {
 public:
  /// `lanes`: all of this rank. On the thread that calls RunStep and Evaluate. `recorder` may be null. All outlive
  /// this.
  DeviceLanes(DeviceKit& kit, const plan::JobPlans& plans, comm::DeviceExchange& exchange,
              comm::FlightRecorder* recorder, LaneRange lanes, const plan::TrainConfig& config);
  ~DeviceLanes();

  /// Enqueues forward, backward and fold of all lanes; their gradients are in the exchange's pieces when they are done.
  /// Returns when all is enqueued: an event of each bucket, and one of the end, then are recorded.
  void RunStep(const StepWork& work);
  /// Whether `step`'s first batch can be staged without blocking.
  bool CanStage(uint64_t step, data::Loader& loader) const { return loader.Ready(step, lanes_.begin); }
  /// Sends it up, for RunFirst or RunStep to find. The next RunStep must be of `step`.
  void StageFirst(uint64_t step, data::Loader& loader) { next_ = Stage(step, lanes_.begin, loader); }
  /// Enqueues that lane behind `updated`, after which the weights are those of `step`; it overwrites the pieces. On any
  /// thread, while no other uses this. The next RunStep goes on from there.
  void RunFirst(DeviceEvent& updated);
  DeviceEvent& bucket_ready(int bucket) { return *bucket_ready_[static_cast<size_t>(bucket)]; }
  DeviceEvent& finished() { return *finished_; }
  /// finished(), recorded anew behind all that is enqueued: what is to overwrite weights waits for it.
  DeviceEvent& Finish();
  /// After finished(): losses and counters of `step`. Valid until RunFirst or RunStep of the step after the next.
  void ReadResults(uint64_t step, std::span<LaneRecord> records) const;
  double load_seconds() const { return load_seconds_; }

  /// The next Evaluate of each shape packs the weights first. (Not here: on a rank without blocks to evaluate nothing
  /// would wait for the packing, which reads weights that the host may store anew.)
  void PrepareEvaluation() { SetPacksDue(evaluate_); }
  /// Forward of one block; waits for its end.
  LaneRecord Evaluate(const data::LaneBatch& block);
  /// Of the last Evaluate, copied to the host; valid until the next Output.
  std::span<const std::byte> Output(const std::string& name);

 private:
  /// A batch on its way up.
  struct Slot {
    std::unique_ptr<DeviceMemory> pinned, staging;
    std::unique_ptr<DeviceEvent> uploaded, taken;
  };
  /// The program of one shape, with its inputs, its packed weights, and both as captured work.
  struct Captured {
    std::unique_ptr<DeviceMemory> inputs, packed_memory;
    std::unique_ptr<engine::PackedWeights> packed;
    std::unique_ptr<engine::Program> program;
    std::unique_ptr<engine::Program> adding;  ///< the same for a pair's second lane, which adds some gradients
    std::unique_ptr<DeviceGraph> pack, run, run_adding;
    bool pack_due = true;  ///< weights have changed since they were packed
  };
  /// The programs of one mode.
  struct ProgramSet {
    std::vector<Slot> slots;  ///< taken in turn
    size_t next_slot = 0;
    std::vector<Captured> programs;  ///< as JobPlans has them
  };
  /// A lane's batch that is in a slot.
  struct Staged {
    uint64_t step = 0;
    Slot* slot = nullptr;
    int index = 0;  ///< of its program
    data::LaneDelivery delivery;
    bool enqueued = false;  ///< its lane, by RunFirst
  };

  void MakeSlots(ProgramSet& set, size_t count, size_t bytes);
  Captured Prepare(std::shared_ptr<const engine::ProgramPlan> plan, float* gradients);
  engine::Program::Bindings BindingsOf(const Captured& captured, float* gradients) const;
  void PrepareTraining(const std::shared_ptr<const engine::ProgramPlan>& plan, float* gradients);
  std::unique_ptr<DeviceGraph> CaptureTraining(engine::Program& program);
  void SetPacksDue(ProgramSet& set);
  void PackIfDue(Captured& captured);
  void PlanFold(int all_lanes);
  void PlanAdditions(int all_lanes);
  void Fold(ElementRange range);
  void WarmUpFold();
  Slot& FillSlot(ProgramSet& set, int index, const data::LaneBatch& batch);
  Staged Stage(uint64_t step, int lane, data::Loader& loader);
  void SendUp(Slot& slot);
  void TakeInputs(Slot& slot, Captured& captured, bool training);
  void RunLane(const Staged& staged, int lane);
  int64_t* ResultsOf(uint64_t step, int lane) const;
  void CopyResults(const Captured& captured, int64_t* to);

  DeviceKit& kit_;
  const plan::JobPlans& plans_;
  comm::DeviceExchange& exchange_;
  comm::FlightRecorder* recorder_;
  const LaneRange lanes_;
  const uint64_t seed_;
  std::unique_ptr<DeviceStream> copies_;
  std::unique_ptr<DeviceMemory> arena_, workspace_, fold_step_;
  std::unique_ptr<DeviceMemory> gradients_;           ///< a lane's; null where programs write into the piece
  std::vector<std::unique_ptr<DeviceMemory>> stack_;  ///< arenas of the fold, above the pieces
  std::vector<optim::FoldStep> fold_;                 ///< by lane
  std::set<std::string> added_;                       ///< parameters whose gradients a pair's second lane adds
  std::unique_ptr<DeviceMemory> added_ranges_;        ///< where they lie, for the fold; null where lanes don't fold
  ProgramSet train_, evaluate_;
  size_t fold_offset_ = 0;                      ///< of the fold step in a slot of training, behind the inputs
  std::optional<Staged> next_;                  ///< what StageFirst left
  const engine::Program* evaluated_ = nullptr;  ///< the last that has run
  std::unique_ptr<DeviceMemory> output_;        ///< pinned: what Output gave last
  // Pinned; losses and then counters, 8 bytes each. A step's are read while lanes of the next one run.
  std::unique_ptr<DeviceMemory> results_[2];         ///< of even and of odd steps, by lane
  std::unique_ptr<DeviceMemory> evaluated_results_;  ///< of the last Evaluate
  std::vector<std::unique_ptr<DeviceEvent>> bucket_ready_;
  std::unique_ptr<DeviceEvent> finished_;
  double load_seconds_ = 0;
};

}  // namespace lockstep::step
