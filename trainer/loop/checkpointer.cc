#include "trainer/loop/checkpointer.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/error.h"
#include "base/log.h"

namespace lockstep::loop {
namespace {

// Where cores are few, training goes first.
constexpr int kNiceness = 5;

/// Where this rank's shard goes: the sizes of all ranks' follow from the slices alone.
checkpoint::ShardPlace PlaceOf(const Job& job, const OwnedState& state) {
  std::vector<uint64_t> bytes;
  for (int rank = 0; rank < job.comm->world_size(); ++rank)
    bytes.push_back(checkpoint::ShardBytes(state.RangeSizes(rank)));
  return checkpoint::PlaceShards(bytes, job.checkpoint.files())[static_cast<size_t>(job.comm->rank())];
}

}  // namespace

void BackgroundTask::Start(const std::string& name, std::function<void()> work) {
  Join();
  done_ = false;
  thread_ = std::thread([this, name, work = std::move(work)] {
    pthread_setname_np(pthread_self(), name.c_str());
    setpriority(PRIO_PROCESS, static_cast<id_t>(gettid()), kNiceness);
    work();
    done_ = true;
  });
}

void BackgroundTask::Join() {
  if (thread_.joinable()) thread_.join();
}

Checkpointer::Checkpointer(const Job& job, FileSystem& files, uint32_t attempt, const OwnedState& state,
                           Coordinator* coordinator)
    : job_(job),
      comm_(*job.comm),
      files_(files),
      folder_(files, job.folder),
      attempt_(attempt),
      state_(state),
      coordinator_(coordinator),
      place_(PlaceOf(job, state)) {}

std::string Checkpointer::what() const { return fmt::format("the checkpoint of step {}", step_); }

void Checkpointer::CopyInto(std::vector<checkpoint::OwnedRange>& ranges) {
  if (copy_.size() == 0)
    copy_ = Buffer(static_cast<size_t>(state_.owned()) * (state_.arrays().size() + 1) * sizeof(float));
  float* to = copy_.As<float>().data();
  for (checkpoint::OwnedRange& range : ranges) {
    std::memcpy(to, range.data.data(), range.data.size_bytes());
    range.data = {to, range.data.size()};
    to += range.data.size();
  }
}

void Checkpointer::Start(uint64_t step, std::span<const float> weights, checkpoint::Manifest manifest,
                         std::vector<uint64_t> pinned, bool copies) {
  CHECK(!in_flight());
  begun_ = std::chrono::steady_clock::now();
  step_ = step;
  manifest_ = std::move(manifest);
  pinned_ = std::move(pinned);
  std::vector<checkpoint::OwnedRange> ranges = state_.Ranges(weights);
  if (copies) CopyInto(ranges);
  phase_ = Phase::kWriting;
  task_.Start("checkpoint", [this, ranges = std::move(ranges)] {
    receipt_.Clear();
    const auto rank = static_cast<uint32_t>(comm_.rank());
    try {
      *receipt_.mutable_file() = checkpoint::WriteShard(files_, folder_.checkpoint(step_), rank, attempt_,
                                                        comm_.topology().host_of[rank], ranges, place_);
    } catch (const std::exception& error) {
      receipt_.set_error(error.what());
    }
  });
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
    outcome_ = kDurable;
    try {
      coordinator_->Commit(manifest_, receipts, folder_.checkpoint(step_));
    } catch (const std::exception& error) {
      outcome_ = coordinator_->Superseded() ? kSuperseded : kFailed;
      failure_ = error.what();
      superseded_ = std::current_exception();
      return;
    }
    try {
      checkpoint::RemoveOld(files_, folder_.checkpoints(), static_cast<int>(job_.checkpoint.keep()), pinned_);
    } catch (const std::exception& error) {
      LogWarning("old checkpoints could not be removed: {}", error.what());
    }
  });
}

void Checkpointer::Settle() {
  const bool leads = coordinator_ != nullptr;
  if (leads) task_.Join();
  int32_t outcome = outcome_;
  comm_.Wait(*comm_.Broadcast(std::as_writable_bytes(std::span(&outcome, 1)), 0), what());
  phase_ = Phase::kIdle;
  if (outcome == kSuperseded) {
    if (leads) std::rethrow_exception(superseded_);
    throw comm::PeerAborted(0, static_cast<int>(ErrorKind::kUsage));
  }
  if (outcome == kDurable) {
    saved_step_ = step_;
    save_seconds_ = std::chrono::duration<double>(std::chrono::steady_clock::now() - begun_).count();
    LogInfo("{} is durable, after {:.3f} s", what(), save_seconds_);
    return;
  }
  // No rank writes any more: what there is of the checkpoint only takes room.
  if (leads) checkpoint::DiscardUnfinished(files_, folder_.checkpoint(step_));
  if (job_.checkpoint.on_write_error() == checkpoint::STOP) {
    if (!leads) throw comm::PeerAborted(0, static_cast<int>(ErrorKind::kCheckpoint));
    throw Error(ErrorKind::kCheckpoint, fmt::format("{} could not be written: {}", what(), failure_), "",
                "make room and start again: the run resumes from the newest good checkpoint");
  }
  if (leads)
    LogWarning("{} could not be written: {}; training goes on, older checkpoints are untouched", what(), failure_);
}

}  // namespace lockstep::loop
