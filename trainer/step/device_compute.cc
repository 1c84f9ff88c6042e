#include "trainer/step/device_compute.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <thread>
#include <utility>

#include "base/error.h"
#include "base/infiniband.h"
#include "base/log.h"
#include "comm/staged_transport.h"
#include "trainer/optim/optimizer.h"
#include "trainer/plan/device_placement.h"
#include "trainer/step/owned_state.h"
#include "trainer/step/run_on_executors.h"
#include "trainer/step/weight_check.h"

namespace lockstep::step {

using std::chrono::steady_clock;

namespace {

/// Sockets beside a card that could do better.
void WarnOfNetwork(const comm::Communicator& comm, const comm::DeviceTransport& transport) {
  if (transport.network() != "Socket" || comm.topology().hosts.size() == 1) return;
  for (const InfinibandPort& port : InfinibandPorts())
    if (port.state == "ACTIVE") {
      LogWarning(
          "gradients travel through sockets, though {} is an active InfiniBand card: is its user-space driver "
          "(libibverbs) here, and NCCL_IB_DISABLE or NCCL_NET not set?",
          port.card);
      return;
    }
}

std::unique_ptr<comm::DeviceTransport> ConnectDevices(comm::Communicator& comm, DeviceKit& kit) {
  if (comm.world_size() == 1 || !kit.connect) return comm::MakeStagedTransport(comm, *kit.device);
  std::vector<plan::RankDevice> devices;
  for (const std::string& uuid : comm::GatherStrings(comm, kit.device->info().uuid, "the comparison of devices"))
    devices.emplace_back().uuid = uuid;
  auto transport =
      plan::SharesDevices(devices) ? comm::MakeStagedTransport(comm, *kit.device) : kit.connect(comm, *kit.device);
  if (comm.rank() == 0) {
    LogNote("gradients between GPUs: {}", transport->description());
    WarnOfNetwork(comm, *transport);
  }
  return transport;
}

}  // namespace

DeviceCompute::DeviceCompute(const plan::Job& job, const plan::JobPlans& plans, const comm::LanePlan& plan,
                             ExecutorPool& pool)
    : job_(job),
      comm_(*job.comm),
      plans_(plans),
      pool_(pool),
      kit_(*job.device),
      transport_(ConnectDevices(comm_, kit_)),
      exchange_(comm_, *kit_.device, *transport_, {static_cast<int>(job.train.lanes()), plan, plans.buckets}),
      stream_(kit_.device->MakeStream()),
      done_(kit_.device->MakeEvent()),
      snapshots_(kit_.device->MakeStream()),
      fetched_(kit_.device->MakeEvent()),
      view_(kit_.device->AllocatePinned(static_cast<size_t>(plans.layout.elements()) * sizeof(float))) {
  const LaneRange mine = plan[static_cast<size_t>(comm_.rank())].front();
  RunOnExecutors(comm_, pool_, "the preparation of kernels", [&](int) {
    kit_.device->UseOnThisThread();
    lanes_ = std::make_unique<DeviceLanes>(kit_, plans, exchange_, comm_.recorder(), mine, job.train);
  });
}

DeviceCompute::~DeviceCompute() {
  transport_->Abort();
  try {
    stream_->Synchronize();
    snapshots_->Synchronize();
  } catch (const std::exception&) {
    // The device has failed: nothing runs any more.
  }
}

Buffer DeviceCompute::AllocateView(size_t bytes) {
  std::shared_ptr<DeviceMemory> memory = kit_.device->AllocatePinned(bytes);
  const std::span<std::byte> all = memory->bytes();
  return Buffer(all, std::move(memory));
}

void DeviceCompute::PrepareTraining(const optim::Optimizer& optimizer, OwnedState& state, WeightCheck& check) {
  lockstep::Device& device = *kit_.device;
  optimizer_ = &optimizer;
  state_ = &state;
  check_ = &check;
  two_passes_ = plan::KeepsSums(optimizer, job_.train);
  int64_t offset = 0;
  for (int bucket = 0; bucket < state.buckets(); ++bucket) {
    offset_.push_back(offset);
    offset += state.slice(bucket).size();
  }
  const size_t owned = static_cast<size_t>(offset) * sizeof(float);
  for (const std::string& name : state.arrays()) arrays_.push_back(device.Allocate(owned, name));
  if (two_passes_) sums_ = device.Allocate(owned, "summed gradients");

  segments_ = static_cast<int>(optimizer.Rules(0, 0).size());
  const size_t rules = static_cast<size_t>(segments_) * sizeof(optim::SegmentRules);
  rules_ = {device.Allocate(rules, "the update's rules"), device.AllocatePinned(rules)};
  outcome_ = {device.Allocate(sizeof(optim::StepOutcome), "the step's outcome"),
              device.AllocatePinned(sizeof(optim::StepOutcome))};
  const size_t chunks = static_cast<size_t>(plans_.layout.elements() / kChunkElements);
  chunks_ = device.Allocate(chunks * sizeof(optim::ChunkRecord), "chunk sums");
  hashes_ = device.Allocate(chunks * sizeof(uint64_t), "hashes of weights");
  const std::unique_ptr<DeviceMemory> blank = device.AllocatePinned(chunks_->size());
  std::fill_n(blank->As<optim::ChunkRecord>(), chunks, optim::ChunkRecord{});
  stream_->Copy(chunks_->data(), blank->data(), chunks_->size());
  stream_->Synchronize();
}

optim::DeviceSlice DeviceCompute::SliceOf(int bucket) const {
  const ElementRange range = exchange_.slices().slice(bucket, comm_.rank());
  optim::DeviceSlice slice;
  slice.begin = range.begin;
  slice.size = range.size();
  slice.weights = exchange_.weights() + range.begin;
  const size_t states = optimizer_->state_names().size();
  CHECK(states <= optim::DeviceSlice::kMaxStates);
  for (size_t k = 0; k < states; ++k) slice.state[k] = arrays_[k]->As<float>() + offset_[static_cast<size_t>(bucket)];
  return slice;
}

optim::ChunkRecord* DeviceCompute::ChunksAt(int64_t element) const {
  return chunks_->As<optim::ChunkRecord>() + element / kChunkElements;
}

uint64_t* DeviceCompute::HashesAt(int64_t element) const { return hashes_->As<uint64_t>() + element / kChunkElements; }

optim::PieceSum DeviceCompute::SumOf(int bucket) const {
  const comm::DeviceSum& sum = exchange_.sums(bucket);
  return {sum.pieces, sum.order, sum.count};
}

void DeviceCompute::UploadRules(const StepWork& work) {
  const std::vector<optim::SegmentRules> rules = optimizer_->Rules(work.step, work.updates);
  std::copy(rules.begin(), rules.end(), rules_.pinned->As<optim::SegmentRules>());
  stream_->Copy(rules_.device->data(), rules_.pinned->data(), rules_.device->size());
}

void DeviceCompute::NoteWeights() {
  for (int bucket = 0; bucket < exchange_.slices().buckets(); ++bucket) {
    const optim::DeviceSlice slice = SliceOf(bucket);
    if (slice.size > 0) kit_.kernels->Hash(*stream_, slice, HashesAt(slice.begin));
  }
  weights_noted_ = true;
}

/// The first chunk of this rank's whose weights are not what NoteWeights saw goes into the outcome.
void DeviceCompute::EnqueueComparison() {
  for (int bucket = 0; bucket < exchange_.slices().buckets(); ++bucket) {
    const optim::DeviceSlice slice = SliceOf(bucket);
    if (slice.size > 0) kit_.kernels->CompareHashes(*stream_, slice, HashesAt(slice.begin), ChunksAt(slice.begin));
  }
}

void DeviceCompute::CheckWeights(uint64_t step, const optim::StepOutcome& outcome) {
  if (!std::exchange(weights_noted_, false) || outcome.changed < 0) return;
  // Its owner says so.
  const comm::SliceMap& slices = exchange_.slices();
  for (int bucket = 0; bucket < slices.buckets(); ++bucket) {
    const ElementRange mine = slices.slice(bucket, comm_.rank());
    if (mine.begin <= outcome.changed && outcome.changed < mine.end) check_->ThrowChanged(outcome.changed, step);
  }
}

/// Bucket by bucket, as the last lane completes them.
void DeviceCompute::EnqueueUpdates(const StepWork& work) {
  if (weights_noted_) EnqueueComparison();
  stream_->Wait(*fetched_);
  const auto* rules = rules_.device->As<optim::SegmentRules>();
  for (int bucket = 0; bucket < exchange_.slices().buckets(); ++bucket) {
    stream_->Wait(lanes_->bucket_ready(bucket));
    exchange_.Collect(*stream_, bucket);
    const optim::DeviceSlice slice = SliceOf(bucket);
    if (slice.size > 0 && two_passes_) {
      float* sums = sums_->As<float>() + offset_[static_cast<size_t>(bucket)];
      kit_.kernels->Sum(*stream_, SumOf(bucket), slice, sums, ChunksAt(slice.begin));
    } else if (slice.size > 0) {
      kit_.kernels->SumAndUpdate(*stream_, SumOf(bucket), rules, segments_, slice, ChunksAt(slice.begin));
    }
    if (!two_passes_) exchange_.Share(*stream_, bucket);
  }
  if (two_passes_ || work.want_norm) ShareChunks();
  EnqueueConclusion();
  for (int bucket = 0; two_passes_ && bucket < exchange_.slices().buckets(); ++bucket) {
    const optim::DeviceSlice slice = SliceOf(bucket);
    const float* sums = sums_->As<float>() + offset_[static_cast<size_t>(bucket)];
    if (slice.size > 0)
      kit_.kernels->Update(*stream_, rules, segments_, outcome_.device->As<optim::StepOutcome>(), sums, slice);
    exchange_.Share(*stream_, bucket);
  }
}

void DeviceCompute::EnqueueConclusion() {
  const int64_t chunks = plans_.layout.elements() / kChunkElements;
  kit_.kernels->Conclude(*stream_, ChunksAt(0), chunks, plans_.layout.parameter_elements() / kChunkElements,
                         job_.optimizer.clip_norm(), two_passes_, outcome_.device->As<optim::StepOutcome>());
  stream_->Copy(outcome_.pinned->data(), outcome_.device->data(), sizeof(optim::StepOutcome));
}

void DeviceCompute::ShareChunks() {
  for (int bucket = 0; bucket < exchange_.slices().buckets(); ++bucket)
    exchange_.ShareRanges(*stream_, bucket, chunks_->data(), sizeof(optim::ChunkRecord), kChunkElements,
                          "the chunk sums");
}

/// Until the lanes are done: what this rank gives to the exchange is complete.
void DeviceCompute::AwaitLanes(uint64_t step, uint64_t collective) {
  comm_.WaitUntil([&] { return lanes_->finished().Done(); }, fmt::format("the lanes of step {}", step));
  if (comm_.recorder()) comm_.recorder()->EnterCollective(collective);
}

StepSums DeviceCompute::Step(const StepWork& work) {
  const auto begin = steady_clock::now();
  comm::FlightRecorder* const recorder = comm_.recorder();
  uint64_t collective = 0;
  if (recorder)
    collective =
        recorder->BeginCollective(comm::CollectiveKind::EXCHANGE, view_->size(), {}, static_cast<int64_t>(work.step));
  UploadRules(work);
  const IdleBehind idle(pool_);
  RunOnExecutors(comm_, pool_, fmt::format("the lanes of step {}", work.step), [&](int) { lanes_->RunStep(work); });
  // Who waits for others must not look like one whose lanes hang.
  if (transport_->waits()) AwaitLanes(work.step, collective);
  EnqueueUpdates(work);
  stream_->Record(*done_);
  if (!transport_->waits()) AwaitLanes(work.step, collective);
  StepSums sums;
  sums.lanes_seconds = std::chrono::duration<double>(steady_clock::now() - begin).count();
  sums.load_seconds = lanes_->load_seconds();
  AwaitExchange(work);
  if (recorder) recorder->LeaveCollective(collective);
  lanes_->ReadResults(work.records);
  const auto& outcome = *outcome_.pinned->As<optim::StepOutcome>();
  CheckWeights(work.step, outcome);
  sums.grad_norm = two_passes_ || work.want_norm ? outcome.norm : 0;
  sums.nonfinite = outcome.nonfinite;
  return sums;
}

/// Until the step is over. Meanwhile the next one's first batch goes up, where it is there in time.
void DeviceCompute::AwaitExchange(const StepWork& work) {
  bool fills = false;
  const auto over = [&] {
    transport_->Poll();
    if (done_->Done()) return !fills || pool_.Finished();
    if (!fills && lanes_->CanStage(work.step + 1, *work.loader)) {
      fills = true;
      pool_.Start([this, work](int) { lanes_->StageFirst(work.step + 1, *work.loader); });
    }
    return false;
  };
  comm_.WaitUntil(over, fmt::format("the exchange of step {}", work.step));
}

std::vector<char> DeviceCompute::NonfiniteLanes(int64_t element) {
  std::vector<char> lanes;
  const std::unique_ptr<DeviceMemory> value = kit_.device->AllocatePinned(sizeof(float));
  for (size_t piece = 0; piece < exchange_.pieces().size(); ++piece) {
    stream_->Copy(value->data(), exchange_.pieces()[piece] + element, sizeof(float));
    AwaitStream("a gradient that is not finite");
    const bool bad = !std::isfinite(*value->As<float>());
    lanes.insert(lanes.end(), static_cast<size_t>(exchange_.piece_nodes()[piece].size()), bad ? 1 : 0);
  }
  return lanes;
}

void DeviceCompute::AwaitStream(const std::string& what) {
  stream_->Record(*done_);
  comm_.WaitUntil([&] { return done_->Done(); }, what);
}

/// Until nobody reads the host's view.
void DeviceCompute::AwaitReaders() const {
  for (int bucket = 0; state_ != nullptr && bucket < state_->buckets(); ++bucket) state_->AwaitReaderOf(bucket);
}

std::function<void()> DeviceCompute::StartFetch() {
  AwaitReaders();
  stream_->Record(*done_);
  snapshots_->Wait(*done_);
  for (int bucket = 0; bucket < state_->buckets(); ++bucket) {
    const ElementRange range = state_->slice(bucket);
    snapshots_->Copy(weights().data() + range.begin, exchange_.weights() + range.begin,
                     static_cast<size_t>(range.size()) * sizeof(float));
  }
  for (size_t k = 0; k < arrays_.size(); ++k)
    snapshots_->Copy(state_->data(static_cast<int>(k), 0).data(), arrays_[k]->data(), arrays_[k]->size());
  snapshots_->Record(*fetched_);
  return [this] {
    constexpr auto kNap = std::chrono::microseconds(100);
    kit_.device->UseOnThisThread();
    while (!fetched_->Done()) std::this_thread::sleep_for(kNap);
  };
}

void DeviceCompute::Fetch(Part part) {
  AwaitReaders();
  stream_->Copy(view_->data(), exchange_.weights(), view_->size());
  for (size_t k = 0; part == Part::kAll && k < arrays_.size(); ++k)
    stream_->Copy(state_->data(static_cast<int>(k), 0).data(), arrays_[k]->data(), arrays_[k]->size());
  AwaitStream("the copy of the device's state");
}

void DeviceCompute::Store() {
  const int rank = comm_.rank();
  stream_->Wait(*fetched_);
  for (int bucket = 0; bucket < exchange_.slices().buckets(); ++bucket) {
    const ElementRange range = exchange_.slices().slice(bucket, rank);
    stream_->Copy(exchange_.weights() + range.begin, weights().data() + range.begin,
                  static_cast<size_t>(range.size()) * sizeof(float));
    exchange_.Share(*stream_, bucket);
  }
  for (size_t k = 0; k < arrays_.size(); ++k)
    stream_->Copy(arrays_[k]->data(), state_->data(static_cast<int>(k), 0).data(), arrays_[k]->size());
  AwaitStream("the copy to the device");
}

}  // namespace lockstep::step
