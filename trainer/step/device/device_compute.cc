#include "trainer/step/device/device_compute.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <thread>
#include <utility>

#include "base/error.h"
#include "trainer/plan/job_plans.h"
#include "trainer/step/run_on_executors.h"

namespace lockstep::step {

using std::chrono::steady_clock;

DeviceCompute::DeviceCompute(const ComputeParts& parts, const optim::Optimizer& optimizer, OwnedState& state)
    : Compute(parts),
      optimizer_(optimizer),
      state_(state),
      two_passes_(plan::KeepsSums(optimizer, parts.config.train)),
      segments_(static_cast<int>(optimizer.Rules(0, 0).size())),
      model_(parts),
      check_(comm(), {plans().layout, slices(), weights(), holds_weights()}),
      snapshots_(device().MakeStream()),
      fetched_(device().MakeEvent()) {
  const size_t owned = static_cast<size_t>(state.owned()) * sizeof(float);
  for (const std::string& name : state.arrays()) arrays_.push_back(device().Allocate(owned, name));
  if (two_passes_) sums_ = device().Allocate(owned, "summed gradients");

  const size_t rules = static_cast<size_t>(segments_) * sizeof(optim::SegmentRules);
  rules_ = {device().Allocate(rules, "the update's rules"), device().AllocatePinned(rules)};
  outcome_ = {device().Allocate(sizeof(optim::StepOutcome), "the step's outcome"),
              device().AllocatePinned(sizeof(optim::StepOutcome))};
  const size_t chunks = static_cast<size_t>(plans().layout.elements() / kChunkElements);
  chunks_ = device().Allocate(chunks * sizeof(optim::ChunkRecord), "chunk sums");
  hashes_ = device().Allocate(chunks * sizeof(uint64_t), "hashes of weights");
  const std::unique_ptr<DeviceMemory> blank = device().AllocatePinned(chunks_->size());
  std::fill_n(blank->As<optim::ChunkRecord>(), chunks, optim::ChunkRecord{});
  stream().Copy(chunks_->data(), blank->data(), chunks_->size());
  stream().Synchronize();
}

DeviceCompute::~DeviceCompute() {
  // Before the memory goes that enqueued work reads and writes.
  model_.Stop();
  try {
    snapshots_->Synchronize();
  } catch (const std::exception&) {
    // The device has failed: nothing runs any more.
  }
}

optim::DeviceSlice DeviceCompute::SliceOf(int bucket) const {
  const ElementRange range = exchange().slices().slice(bucket, comm().rank());
  optim::DeviceSlice slice;
  slice.begin = range.begin;
  slice.size = range.size();
  slice.weights = exchange().weights() + range.begin;
  const size_t states = optimizer_.state_names().size();
  CHECK(states <= optim::DeviceSlice::kMaxStates);
  for (size_t k = 0; k < states; ++k) slice.state[k] = arrays_[k]->As<float>() + state_.offset(bucket);
  return slice;
}

bool DeviceCompute::Owns(int64_t element) const {
  for (int bucket = 0; bucket < exchange().slices().buckets(); ++bucket) {
    const ElementRange mine = exchange().slices().slice(bucket, comm().rank());
    if (mine.begin <= element && element < mine.end) return true;
  }
  return false;
}

optim::ChunkRecord* DeviceCompute::ChunksAt(int64_t element) const {
  return chunks_->As<optim::ChunkRecord>() + element / kChunkElements;
}

uint64_t* DeviceCompute::HashesAt(int64_t element) const { return hashes_->As<uint64_t>() + element / kChunkElements; }

optim::PieceSum DeviceCompute::SumOf(int bucket) const {
  const comm::DeviceSum& sum = exchange().sums(bucket);
  return {sum.pieces, sum.order, sum.count, exchange().wire()};
}

void DeviceCompute::UploadRules(const StepWork& work) {
  const std::vector<optim::SegmentRules> rules = optimizer_.Rules(work.step, work.updates);
  std::copy(rules.begin(), rules.end(), rules_.pinned->As<optim::SegmentRules>());
  stream().Copy(rules_.device->data(), rules_.pinned->data(), rules_.device->size());
}

void DeviceCompute::NoteWeights() {
  for (int bucket = 0; bucket < exchange().slices().buckets(); ++bucket) {
    const optim::DeviceSlice slice = SliceOf(bucket);
    if (slice.size > 0) kit().kernels->Hash(stream(), slice, HashesAt(slice.begin));
  }
  weights_noted_ = true;
}

/// The first chunk of this rank's whose weights are not what NoteWeights saw goes into the outcome.
void DeviceCompute::EnqueueComparison() {
  for (int bucket = 0; bucket < exchange().slices().buckets(); ++bucket) {
    const optim::DeviceSlice slice = SliceOf(bucket);
    if (slice.size > 0) kit().kernels->CompareHashes(stream(), slice, HashesAt(slice.begin), ChunksAt(slice.begin));
  }
}

void DeviceCompute::CheckWeights(uint64_t step, const optim::StepOutcome& outcome) {
  if (!std::exchange(weights_noted_, false) || outcome.changed < 0) return;
  if (Owns(outcome.changed)) check_.ThrowChanged(outcome.changed, step);
}

/// Bucket by bucket, as the last lane completes them.
void DeviceCompute::EnqueueUpdates(const StepWork& work) {
  if (weights_noted_) EnqueueComparison();
  stream().Wait(*fetched_);
  const auto* rules = rules_.device->As<optim::SegmentRules>();
  for (int bucket = 0; bucket < exchange().slices().buckets(); ++bucket) {
    stream().Wait(model_.lanes().bucket_ready(bucket));
    exchange().Collect(stream(), bucket);
    const optim::DeviceSlice slice = SliceOf(bucket);
    if (slice.size > 0 && two_passes_) {
      float* sums = SumsOf(bucket);
      kit().kernels->Sum(stream(), SumOf(bucket), slice, sums, ChunksAt(slice.begin));
    } else if (slice.size > 0) {
      kit().kernels->SumAndUpdate(stream(), SumOf(bucket), rules, segments_, slice, ChunksAt(slice.begin));
    }
    if (!two_passes_) exchange().Share(stream(), bucket);
  }
  if (two_passes_ || work.want_norm) ShareChunks();
  EnqueueConclusion(work);
  for (int bucket = 0; two_passes_ && bucket < exchange().slices().buckets(); ++bucket) {
    const optim::DeviceSlice slice = SliceOf(bucket);
    const float* sums = SumsOf(bucket);
    if (slice.size > 0)
      kit().kernels->Update(stream(), rules, segments_, outcome_.device->As<optim::StepOutcome>(), sums, slice);
    exchange().Share(stream(), bucket);
  }
}

void DeviceCompute::EnqueueConclusion(const StepWork& work) {
  const int64_t chunks = plans().layout.elements() / kChunkElements;
  const optim::ConclusionRules rules{.clip_norm = parts_.config.optimizer.clip_norm(),
                                     .skip_nonfinite = two_passes_,
                                     .want_norm = two_passes_ || work.want_norm};
  kit().kernels->Conclude(stream(), ChunksAt(0), chunks, plans().layout.parameter_elements() / kChunkElements, rules,
                          outcome_.device->As<optim::StepOutcome>());
  stream().Copy(outcome_.pinned->data(), outcome_.device->data(), sizeof(optim::StepOutcome));
}

void DeviceCompute::ShareChunks() {
  for (int bucket = 0; bucket < exchange().slices().buckets(); ++bucket)
    exchange().ShareRanges(stream(), bucket, chunks_->data(), sizeof(optim::ChunkRecord), kChunkElements,
                           "the chunk sums");
}

/// Of the next step: its first batch goes up as soon as the loader has it, and then its first lane is enqueued as soon
/// as this step's update is. Its rules can wait: they are read by updates, long after that lane.
void DeviceCompute::LookAhead(const StepWork& work) {
  ExecutorPool& pool = executors().pool();
  if (ahead_ == Ahead::kNothing && model_.lanes().CanStage(work.step + 1, *work.loader)) {
    ahead_ = Ahead::kStaging;
    pool.Start([this, work](int) { model_.lanes().StageFirst(work.step + 1, *work.loader); });
  } else if (ahead_ == Ahead::kStaging && update_enqueued_ && pool.Finished()) {
    ahead_ = Ahead::kEnqueued;
    model_.lanes().RunFirst(model_.done());
  }
}

/// Until the device has come to `event`. Meanwhile the next step is begun.
void DeviceCompute::Await(DeviceEvent& event, const StepWork& work, const std::string& what) {
  const auto there = [&] {
    model_.transport().Poll();
    if (event.Done()) return true;
    LookAhead(work);
    return false;
  };
  comm().WaitUntil(there, what);
}

/// Until the lanes are done: what this rank gives to the exchange is complete.
void DeviceCompute::AwaitLanes(const StepWork& work, uint64_t collective) {
  Await(model_.lanes().finished(), work, fmt::format("the lanes of step {}", work.step));
  comm().recorder().EnterCollective(collective);
}

StepSums DeviceCompute::Step(const StepWork& work) {
  const auto begin = steady_clock::now();
  const int64_t begin_ns = work.log() == nullptr ? 0 : profile::EventLog::Now();
  const uint64_t collective = comm().recorder().BeginCollective(comm::CollectiveKind::EXCHANGE, weights().size_bytes(),
                                                                {}, static_cast<int64_t>(work.step));
  ahead_ = Ahead::kNothing;
  update_enqueued_ = false;
  UploadRules(work);
  const IdleBehind idle(executors().pool());
  RunOnExecutors(comm(), executors().pool(), fmt::format("the lanes of step {}", work.step),
                 [&](int) { model_.lanes().RunStep(work); });
  StepSums sums;
  sums.times.data = model_.lanes().load_seconds();  // staging counts on, on the executor's thread
  // Who waits for others must not look like one whose lanes hang.
  if (model_.transport().waits()) AwaitLanes(work, collective);
  EnqueueUpdates(work);
  stream().Record(model_.done());
  update_enqueued_ = true;
  if (!model_.transport().waits()) AwaitLanes(work, collective);
  sums.times.lanes = std::chrono::duration<double>(steady_clock::now() - begin).count();
  const int64_t lanes_ns = work.log() == nullptr ? 0 : work.log()->Lap(profile::What::kAwaitLanes, -1, begin_ns);
  AwaitExchange(work);
  if (work.log() != nullptr) work.log()->Lap(profile::What::kShare, -1, lanes_ns);
  comm().recorder().LeaveCollective(collective);
  model_.lanes().ReadResults(work.step, work.records);
  const auto& outcome = *outcome_.pinned->As<optim::StepOutcome>();
  CheckWeights(work.step, outcome);
  sums.grad_norm = two_passes_ || work.want_norm ? outcome.norm : 0;
  sums.nonfinite = outcome.nonfinite;
  return sums;
}

/// Until the step is over, and no executor works any more.
void DeviceCompute::AwaitExchange(const StepWork& work) {
  Await(model_.done(), work, fmt::format("the exchange of step {}", work.step));
  const auto enqueued = [&] {
    LookAhead(work);
    return ahead_ == Ahead::kEnqueued;
  };
  if (ahead_ != Ahead::kNothing) comm().WaitUntil(enqueued, fmt::format("the first batch of step {}", work.step + 1));
}

/// From what the sum's kernel noted where this rank owns the element: the pieces may hold the next step's first lane.
std::vector<char> DeviceCompute::NonfiniteLanes(int64_t element) {
  std::vector<char> lanes(parts_.config.train.lanes());
  if (!Owns(element)) return lanes;
  const auto record = kit().device->AllocatePinned(sizeof(optim::ChunkRecord));
  stream().Copy(record->data(), ChunksAt(element), record->size());
  model_.AwaitStream("a gradient that is not finite");
  const auto& chunk = *record->As<optim::ChunkRecord>();
  CHECK(chunk.nonfinite == element);
  const std::span<const LaneRange> nodes = exchange().all_nodes();
  for (size_t piece = 0; piece < nodes.size(); ++piece) {
    const size_t bit = std::min<size_t>(piece, optim::ChunkRecord::kLastPiece);
    const char bad = (chunk.nonfinite_pieces >> bit & 1) != 0 ? 1 : 0;
    std::fill(lanes.begin() + nodes[piece].begin, lanes.begin() + nodes[piece].end, bad);
  }
  return lanes;
}

std::function<void()> DeviceCompute::StartFetch() {
  state_.AwaitReaderOfAll();
  stream().Record(model_.done());
  snapshots_->Wait(model_.done());
  for (int bucket = 0; bucket < state_.buckets(); ++bucket) {
    const ElementRange range = state_.slice(bucket);
    snapshots_->Copy(weights().data() + range.begin, exchange().weights() + range.begin,
                     static_cast<size_t>(range.size()) * sizeof(float));
  }
  for (size_t k = 0; k < arrays_.size(); ++k)
    snapshots_->Copy(state_.data(static_cast<int>(k), 0).data(), arrays_[k]->data(), arrays_[k]->size());
  snapshots_->Record(*fetched_);
  return [this] {
    constexpr auto kNap = std::chrono::microseconds(100);
    kit().device->UseOnThisThread();
    while (!fetched_->Done()) std::this_thread::sleep_for(kNap);
  };
}

void DeviceCompute::FetchWeights() {
  state_.AwaitReaderOfAll();
  model_.CopyWeightsToView();
  model_.AwaitStream("the copy of the device's weights");
}

void DeviceCompute::FetchAll() {
  state_.AwaitReaderOfAll();
  model_.CopyWeightsToView();
  for (size_t k = 0; k < arrays_.size(); ++k)
    stream().Copy(state_.data(static_cast<int>(k), 0).data(), arrays_[k]->data(), arrays_[k]->size());
  model_.AwaitStream("the copy of the device's state");
}

void DeviceCompute::Store() {
  stream().Wait(*fetched_);
  // A lane of the next step may be reading the weights. It may read them again afterwards: who stores weights between
  // steps stores those of the step again before the next one.
  stream().Wait(model_.lanes().Finish());
  model_.ShareOwnedOfView();
  for (size_t k = 0; k < arrays_.size(); ++k)
    stream().Copy(arrays_[k]->data(), state_.data(static_cast<int>(k), 0).data(), arrays_[k]->size());
  model_.AwaitStream("the copy to the device");
}

uint64_t DeviceCompute::CompareHosts(uint64_t step) {
  FetchWeights();
  return check_.CompareHosts(step);
}

}  // namespace lockstep::step
