#include "trainer/run/checkpointer.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/error.h"
#include "base/log.h"
#include "base/threads.h"
#include "trainer/plan/job_plans.h"

namespace lockstep::run {
namespace {

using std::chrono::steady_clock;

// Where cores are few, training goes first.
constexpr int kNiceness = 5;

void YieldToTraining() { setpriority(PRIO_PROCESS, static_cast<id_t>(gettid()), kNiceness); }

double SecondsSince(steady_clock::time_point start) {
  return std::chrono::duration<double>(steady_clock::now() - start).count();
}

/// Where this rank's shard goes: the sizes of all ranks' follow from the slices alone.
checkpoint::ShardPlace PlaceOf(const Job& job, const step::OwnedState& state) {
  std::vector<uint64_t> bytes;
  for (int rank = 0; rank < job.place.comm->world_size(); ++rank)
    bytes.push_back(checkpoint::ShardBytes(state.RangeSizes(rank)));
  return checkpoint::PlaceShards(bytes, job.config.checkpoint.files())[static_cast<size_t>(job.place.comm->rank())];
}

}  // namespace

void BackgroundTask::Start(const std::string& name, std::function<void()> work) {
  Join();
  done_ = false;
  thread_ = StartThread(name, [this, work = std::move(work)] {
    work();
    done_ = true;
  });
}

void BackgroundTask::Join() {
  if (thread_.joinable()) thread_.join();
}

Checkpointer::Checkpointer(const Job& job, const Start& start, uint32_t attempt, step::OwnedState& state,
                           Coordinator* coordinator)
    : job_(job),
      comm_(*job.place.comm),
      files_(*start.files),
      folder_(*start.files, start.folder),
      attempt_(attempt),
      state_(state),
      coordinator_(coordinator),
      place_(PlaceOf(job, state)) {
  state_.SetReader([this](int bucket) { AwaitCopy(bucket); });
  if (!plan::SavesMeanwhile(job.config.checkpoint)) return;
  // The first touch of much memory takes long: beside the first step, not in the first checkpoint.
  AllocateCopy();
  task_.Start("checkpoint", [this] {
    YieldToTraining();
    for (size_t at = 0; at < copy_.size(); at += kBufferAlignment) copy_.data()[at] = std::byte{0};
  });
}

Checkpointer::~Checkpointer() { state_.SetReader(nullptr); }

std::string Checkpointer::what() const { return fmt::format("the checkpoint of step {}", step_); }

void Checkpointer::AllocateCopy() {
  if (copy_.size() == 0)
    copy_ = Buffer(static_cast<size_t>(state_.owned()) * (state_.arrays().size() + 1) * sizeof(float));
}

void Checkpointer::Copy(std::vector<checkpoint::OwnedRange>& ranges) {
  // Bucket after bucket, as updates come, whatever the order in the file.
  std::vector<std::pair<std::span<const float>, float*>> moves;
  std::vector<size_t> order;
  float* to = copy_.As<float>().data();
  for (checkpoint::OwnedRange& range : ranges) {
    order.push_back(moves.size());
    moves.emplace_back(range.data, to);
    range.data = {to, range.data.size()};
    to += range.data.size();
  }
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return ranges[a].begin < ranges[b].begin; });
  const auto start = steady_clock::now();
  auto next = order.begin();
  for (int bucket = 0; bucket < state_.buckets(); ++bucket) {
    for (; next != order.end() && ranges[*next].begin < state_.slice(bucket).end; ++next)
      std::memcpy(moves[*next].second, moves[*next].first.data(), moves[*next].first.size_bytes());
    CopiedUpTo(bucket + 1);
  }
  copy_seconds_ = SecondsSince(start);
}

void Checkpointer::CopiedUpTo(int buckets) {
  copied_.store(buckets, std::memory_order_release);
  copied_.notify_all();
}

void Checkpointer::AwaitCopy(int bucket) {
  if (phase_ == Phase::kIdle || copied_.load(std::memory_order_acquire) > bucket) return;
  const auto start = steady_clock::now();
  for (int copied; (copied = copied_.load(std::memory_order_acquire)) <= bucket;) copied_.wait(copied);
  waited_seconds_ += SecondsSince(start);
  untaken_seconds_ += SecondsSince(start);
}

void Checkpointer::Write(const std::vector<checkpoint::OwnedRange>& ranges) {
  const auto start = steady_clock::now();
  const auto rank = static_cast<uint32_t>(comm_.rank());
  *receipt_.mutable_file() = checkpoint::WriteShard(files_, folder_.checkpoint(step_), rank, attempt_,
                                                    comm_.topology().host_name(), ranges, place_);
  write_seconds_ = SecondsSince(start);
}

void Checkpointer::Begin(uint64_t step, std::span<const float> weights, std::function<void()> fetched,
                         checkpoint::Manifest manifest, std::vector<uint64_t> pinned) {
  CHECK(!in_flight());
  begun_ = steady_clock::now();
  step_ = step;
  manifest_ = std::move(manifest);
  pinned_ = std::move(pinned);
  task_.Join();
  copied_ = fetched ? 0 : state_.buckets();
  copy_seconds_ = write_seconds_ = 0;
  if (fetched) AllocateCopy();
  receipt_.Clear();
  phase_ = Phase::kWriting;
  task_.Start("checkpoint", [this, fetched = std::move(fetched), ranges = state_.Ranges(weights)]() mutable {
    try {
      if (fetched) {
        fetched();
        Copy(ranges);
      }
      YieldToTraining();
      Write(ranges);
    } catch (...) {
      receipt_.set_error(CurrentError().what());
      CopiedUpTo(state_.buckets());
    }
  });
  waited_seconds_ = SecondsSince(begun_);
}

void Checkpointer::Advance(bool all_written, bool settled) {
  if (phase_ == Phase::kWriting && all_written)
    Commit();
  else if (phase_ == Phase::kCommitting && settled)
    Settle();
}

void Checkpointer::Drain() {
  if (phase_ == Phase::kWriting) {
    comm_.WaitUntil([&] { return task_.done(); }, what());
    Commit();
  }
  if (phase_ == Phase::kCommitting) {
    comm_.WaitUntil([&] { return task_.done(); }, what());
    Settle();
  }
}

void Checkpointer::Commit() {
  std::vector<checkpoint::Receipt> receipts;
  for (const std::string& bytes : comm::GatherStrings(comm_, receipt_.SerializeAsString(), what()))
    receipts.emplace_back().ParseFromString(bytes);
  phase_ = Phase::kCommitting;
  if (coordinator_ == nullptr) return;
  task_.Start("checkpoint", [this, receipts = std::move(receipts)] {
    YieldToTraining();
    outcome_ = kDurable;
    try {
      coordinator_->Commit(manifest_, receipts, folder_.checkpoint(step_));
    } catch (...) {
      // Nothing here may throw, so that whether another job has the run is not asked of the disk again.
      failure_ = CurrentError();
      outcome_ = failure_->kind() == ErrorKind::kSuperseded ? kSuperseded : kFailed;
      return;
    }
    RemoveOld();
  });
}

/// What can't be listed or removed only takes room.
void Checkpointer::RemoveOld() {
  try {
    if (const uint64_t every = job_.config.checkpoint.keep_every(); every > 0)
      for (const uint64_t step : checkpoint::ListSteps(files_, folder_.checkpoints()))
        if (step % every == 0) pinned_.push_back(step);
    checkpoint::RemoveOld(files_, folder_.checkpoints(), static_cast<int>(job_.config.checkpoint.keep()), pinned_);
  } catch (const std::exception& error) {
    LogWarning("old checkpoints could not be removed: {}", error.what());
  }
}

void Checkpointer::Settle() {
  const bool leads = coordinator_ != nullptr;
  if (leads) task_.Join();
  int32_t outcome = outcome_;
  comm_.Wait(*comm_.Broadcast(std::as_writable_bytes(std::span(&outcome, 1)), 0), what());
  phase_ = Phase::kIdle;
  if (outcome == kSuperseded) {
    if (leads) throw *failure_;
    throw comm::PeerAborted(0, ExitCodeOf(ErrorKind::kSuperseded));
  }
  if (outcome == kDurable) {
    saved_step_ = step_;
    save_seconds_ = SecondsSince(begun_);
    const auto bytes = static_cast<uint64_t>(state_.owned()) * (state_.arrays().size() + 1) * sizeof(float);
    LogInfo(
        "{} is durable, after {:.3f} s: {} bytes copied in {:.4f} s, for which training waited {:.4f} s, written in "
        "{:.4f} s",
        what(), save_seconds_, bytes, copy_seconds_, waited_seconds_, write_seconds_);
    return;
  }
  // No rank writes any more: what there is of the checkpoint only takes room.
  if (leads) checkpoint::DiscardUnfinished(files_, folder_.checkpoint(step_));
  if (job_.config.checkpoint.on_write_error() == checkpoint::STOP) {
    if (!leads) throw comm::PeerAborted(0, ExitCodeOf(ErrorKind::kCheckpoint));
    throw Error(ErrorKind::kCheckpoint, fmt::format("{} could not be written: {}", what(), failure_->what()), "",
                "make room and start again: the run resumes from the newest good checkpoint");
  }
  if (leads)
    LogWarning("{} could not be written: {}; training goes on, older checkpoints are untouched", what(),
               failure_->what());
}

}  // namespace lockstep::run
