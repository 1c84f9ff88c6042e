#include "comm/exchange.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/error.h"

namespace lockstep::comm {

template <typename Done, typename... Args>
void Exchange::WaitUntil(const Done& done, fmt::format_string<Args...> what, Args&&... args) {
  what_.clear();
  fmt::format_to(std::back_inserter(what_), what, std::forward<Args>(args)...);
  comm_.WaitUntil(std::cref(done), what_);
}

// Drops what is done from the end of the list on; true when nothing is left.
bool Exchange::AllDone(PendingList& list) {
  while (!list.empty() && list.back()->Done()) list.pop_back();
  return list.empty();
}

Exchange::Exchange(Communicator& comm, ExchangeOptions options)
    : comm_(comm),
      topology_(comm.topology()),
      plan_(std::move(options), topology_),
      memory_(comm, plan_),
      pieces_(static_cast<size_t>(plan_.executors_of(topology_.rank))),
      nodes_(pieces_.size()),
      buckets_(static_cast<size_t>(plan_.slices().buckets())) {
  const std::span<const Piece> pieces = plan_.pieces(topology_.host());
  for (size_t i = 0; i < pieces.size(); ++i) {
    if (pieces[i].rank != topology_.rank) continue;
    pieces_[static_cast<size_t>(pieces[i].executor)].push_back(memory_.piece(i));
    nodes_[static_cast<size_t>(pieces[i].executor)].push_back(pieces[i].node);
  }
  for (size_t i = 0; i < buckets_.size(); ++i) buckets_[i].plan = plan_.PlanBucket(topology_.rank, static_cast<int>(i));
  AllocateSlots();
  const std::vector<LaneSumStep> order = plan_.SumOrder(topology_.host());
  const std::vector<HostSum> sums = plan_.HostSums(topology_.host());
  for (size_t i = 0; i < buckets_.size(); ++i) {
    const Slot& slot = SlotOf(static_cast<int>(i));
    buckets_[i].received = slot.received.data();
    ResolveSum(buckets_[i], order);
    ResolveRelaying(buckets_[i], slot.folded.data(), sums);
  }
}

Exchange::~Exchange() {
  bool idle = weights_sent_.empty();
  for (const Bucket& bucket : buckets_)
    idle = idle && bucket.sums_sent.empty() && bucket.sums_received.empty() && bucket.weights_received.empty();
  if (idle) return;
  weights_sent_.clear();
  buckets_.clear();
  struct Memory {
    ExchangeMemory arenas;
    std::array<Slot, kWindow> slots;
  };
  comm_.KeepUntilExit(std::make_shared<Memory>(Memory{std::move(memory_), std::move(slots_)}));
}

void Exchange::AllocateSlots() {
  int64_t received = 0, folded = 0;
  for (const Bucket& bucket : buckets_) {
    received = std::max(received, bucket.plan.received_elements);
    folded = std::max(folded, bucket.plan.folded_elements);
  }
  for (Slot& slot : slots_) slot = {Buffer(WireBytes(received)), Buffer(WireBytes(folded))};
}

void Exchange::ResolveSum(Bucket& bucket, const std::vector<LaneSumStep>& order) {
  if (bucket.plan.slice.size() == 0) return;
  std::vector<const std::byte*> addends;
  for (size_t i = 0; i < plan_.pieces(topology_.host()).size(); ++i)
    addends.push_back(memory_.piece(i) + WireBytes(bucket.plan.slice.begin));
  for (const BucketPlan::Incoming& in : bucket.plan.incoming) addends.push_back(bucket.received + WireBytes(in.offset));
  bucket.sum.emplace(std::move(addends), order, wire());
}

void Exchange::ResolveRelaying(Bucket& bucket, std::byte* folded, const std::vector<HostSum>& sums) {
  for (const BucketPlan::Outgoing& out : bucket.plan.outgoing) {
    const HostSum& sum = sums[out.sum];
    std::vector<std::byte*> pieces;
    for (size_t piece : sum.pieces) pieces.push_back(memory_.piece(piece) + WireBytes(out.range.begin));
    Relaying& relaying = bucket.relaying.emplace_back();
    const bool folds = pieces.size() > 1;
    if (folds) relaying.fold.emplace(std::vector<const std::byte*>(pieces.begin(), pieces.end()), sum.order, wire());
    relaying.buffer = {folds ? folded + WireBytes(out.offset) : pieces.front(), WireBytes(out.range.size())};
  }
}

void Exchange::Begin(int64_t step) {
  CHECK(phase_ == Phase::kIdle, "step {} begins before step {} was shared", step, step_);
  phase_ = Phase::kBegun;
  step_ = step;
  ++number_;
  relayed_ = reduced_ = ready_executors_ = 0;
  missing_ = static_cast<int64_t>(pieces_.size()) * slices().buckets();
  BeginRecord(CollectiveKind::EXCHANGE, step);
  for (int bucket = 0; bucket < std::min(kWindow, slices().buckets()); ++bucket) ReceiveSums(bucket);
}

void Exchange::PieceReady(int executor, int bucket) {
  CHECK(0 <= executor && static_cast<size_t>(executor) < pieces_.size() && 0 <= bucket && bucket < slices().buckets(),
        "executor {}, bucket {}", executor, bucket);
  // Before the flag: when all flags are seen, the next step may begin.
  const bool last = missing_.fetch_sub(1) == 1;
  comm_.recorder().Progress();
  if (last) comm_.recorder().EnterCollective(collective_);
  memory_.RaiseReady(plan_.first_executor(topology_.rank) + executor, bucket, number_);
}

// This rank enters the exchange when its own pieces are complete, not when it begins to wait for them: a rank whose
// lanes hang must not look like one that waits for others.
void Exchange::BeginRecord(CollectiveKind::Value kind, int64_t step) {
  FlightRecorder& recorder = comm_.recorder();
  const auto bytes = static_cast<uint64_t>(weights().size_bytes());
  collective_ = kind == CollectiveKind::EXCHANGE && missing_ > 0 ? recorder.BeginCollective(kind, bytes, {}, step)
                                                                 : recorder.EnterCollective(kind, bytes, {}, step);
}

void Exchange::Reduce(const OnSlice& on_slice, bool share_at_once) {
  CHECK(phase_ == Phase::kBegun, "Reduce without Begin");
  share_at_once_ = share_at_once;
  while (reduced_ < slices().buckets()) {
    WaitUntil([&] { return Advance(on_slice); }, "the exchange of bucket {} of step {}", reduced_, step_);
  }
  phase_ = Phase::kReduced;
  // What happens before Share may contain other collectives.
  if (!share_at_once) EndRecord();
}

bool Exchange::ReadyOnHost(int bucket) {
  while (ready_executors_ < plan_.executors_on(topology_.host()) && memory_.Ready(ready_executors_, bucket, number_)) {
    ++ready_executors_;
  }
  return ready_executors_ == plan_.executors_on(topology_.host());
}

// Does what can be done at once for the next buckets in line; false where that is nothing. Relaying comes first: others
// wait for it.
bool Exchange::Advance(const OnSlice& on_slice) {
  bool moved = false;
  const bool slot_is_free = relayed_ < kWindow || AllDone(BucketAt(relayed_ - kWindow).sums_sent);
  if (relayed_ < slices().buckets() && slot_is_free && ReadyOnHost(relayed_)) {
    RelaySums(relayed_);
    if (share_at_once_) ReceiveWeights(relayed_);
    ++relayed_;
    ready_executors_ = 0;
    moved = true;
  }
  if (reduced_ < relayed_ && AllDone(BucketAt(reduced_).sums_received)) {
    const Bucket& bucket = BucketAt(reduced_);
    if (bucket.sum) on_slice(reduced_, bucket.plan.slice, *bucket.sum);
    if (share_at_once_) SendWeights(reduced_);
    if (reduced_ + kWindow < slices().buckets()) ReceiveSums(reduced_ + kWindow);
    ++reduced_;
    moved = true;
  }
  return moved;
}

// REQUIRES: the bucket kWindow before has been reduced.
void Exchange::ReceiveSums(int index) {
  Bucket& bucket = BucketAt(index);
  for (const BucketPlan::Incoming& in : bucket.plan.incoming) {
    const std::span<std::byte> buffer(bucket.received + WireBytes(in.offset), WireBytes(bucket.plan.slice.size()));
    bucket.sums_received.push_back(comm_.Receive(buffer, in.from, in.tag));
  }
}

// REQUIRES: the bucket is ready on this host, and the sends of the bucket kWindow before are done.
void Exchange::RelaySums(int index) {
  Bucket& bucket = BucketAt(index);
  for (size_t i = 0; i < bucket.relaying.size(); ++i) {
    const BucketPlan::Outgoing& out = bucket.plan.outgoing[i];
    const Relaying& sum = bucket.relaying[i];
    if (sum.fold) sum.fold->Fold(sum.buffer);
    bucket.sums_sent.push_back(comm_.Send(sum.buffer, out.to, out.tag));
  }
}

// REQUIRES: no executor of this host reads the bucket's weights any more.
void Exchange::ReceiveWeights(int index) {
  Bucket& bucket = BucketAt(index);
  for (const BucketPlan::Relayed& relayed : bucket.plan.relayed) {
    const std::span<float> slice = SliceOfWeights(relayed.range);
    bucket.weights_received.push_back(
        comm_.Receive(std::as_writable_bytes(slice), relayed.owner, bucket.plan.weights_tag));
  }
}

void Exchange::SendWeights(int index) {
  const BucketPlan& plan = BucketAt(index).plan;
  for (int relay : plan.relays)
    weights_sent_.push_back(comm_.Send(std::as_bytes(SliceOfWeights(plan.slice)), relay, plan.weights_tag));
}

void Exchange::Share() {
  CHECK(phase_ == Phase::kReduced, "Share without Reduce");
  if (!share_at_once_) BeginRecord(CollectiveKind::WEIGHTS, step_);
  for (int bucket = 0; bucket < slices().buckets() && !share_at_once_; ++bucket) {
    ReceiveWeights(bucket);
    SendWeights(bucket);
  }
  // A send reads a piece or a slice where it lies: only when it is done may they be written again.
  for (int index = 0; index < slices().buckets(); ++index) {
    Bucket& bucket = BucketAt(index);
    if (bucket.sums_sent.empty() && bucket.weights_received.empty()) continue;
    WaitUntil([&] { return AllDone(bucket.sums_sent) && AllDone(bucket.weights_received); },
              "the new weights of bucket {} of step {}", index, step_);
  }
  if (!weights_sent_.empty()) {
    WaitUntil([&] { return AllDone(weights_sent_); }, "other hosts to take the new weights of step {}", step_);
  }
  memory_.RaiseFinished(topology_.local_rank(), number_);
  for (int local_rank = 0; local_rank < topology_.local_size(); ++local_rank) {
    // Of a small exchange a wait for what is there, this rank's own part at least, would take a large part.
    if (memory_.Finished(local_rank, number_)) continue;
    WaitUntil([&] { return memory_.Finished(local_rank, number_); }, "rank {} to finish the exchange of step {}",
              topology_.rank - topology_.local_rank() + local_rank, step_);
  }
  phase_ = Phase::kIdle;
  EndRecord();
}

void Exchange::ShareNow() {
  CHECK(phase_ == Phase::kIdle, "ShareNow inside step {}", step_);
  const char* what = "sharing weights between hosts";
  comm_.Wait(*comm_.Barrier(), what);  // no host may still read weights that another one sends anew
  BeginRecord(CollectiveKind::WEIGHTS, -1);
  for (int bucket = 0; bucket < slices().buckets(); ++bucket) {
    ReceiveWeights(bucket);
    SendWeights(bucket);
  }
  for (Bucket& bucket : buckets_) {
    WaitUntil([&] { return AllDone(bucket.weights_received) && AllDone(weights_sent_); }, "{}", what);
  }
  EndRecord();
  comm_.Wait(*comm_.Barrier(), what);
}

}  // namespace lockstep::comm
