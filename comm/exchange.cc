#include "comm/exchange.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <iterator>
#include <optional>
#include <string>
#include <utility>

#include "base/error.h"
#include "base/memory.h"
#include "base/threads.h"
#include "comm/exchange_layout.h"
#include "comm/exchange_memory.h"
#include "comm/flight_recorder.h"

namespace lockstep::comm {
namespace {

using PendingList = std::vector<std::unique_ptr<Pending>>;

// Buckets whose sums are between nodes at a time. Their memory is used in turn: it stays in the cache, and is a
// fraction of an arena.
constexpr int kWindow = 4;

// Drops what is done from the end of the list on; true when nothing is left.
bool AllDone(PendingList& list) {
  while (!list.empty() && list.back()->Done()) list.pop_back();
  return list.empty();
}

int64_t Elements(const std::vector<ElementRange>& buckets) { return buckets.empty() ? 0 : buckets.back().end; }

size_t Bytes(ElementRange range) { return AlignUp(static_cast<size_t>(range.size()) * sizeof(float), kValueAlignment); }

}  // namespace

class Exchange::State {
 public:
  State(Communicator& comm, const Options& options, const SliceMap& slices);

  const std::vector<float*>& pieces(int executor) const { return pieces_.at(static_cast<size_t>(executor)); }
  const std::vector<LaneRange>& piece_nodes(int executor) const { return nodes_.at(static_cast<size_t>(executor)); }
  std::span<float> weights() const { return memory_.weights(); }

  void Begin(int64_t step);
  void PieceReady(int executor, int bucket);
  void Reduce(const OnSlice& on_slice, bool share_at_once);
  void Share();
  void ShareNow();

 private:
  // A sum over lanes that another node sends for a slice of ours.
  struct Incoming {
    int from, tag;
    std::span<float> buffer;
  };
  // A sum over lanes of this node that we relay to an owner elsewhere: one local piece where it lies, or several
  // folded.
  struct Outgoing {
    int to, tag;
    std::optional<SliceSum> fold;
    std::span<float> buffer;
  };
  struct Relayed {
    int owner;
    ElementRange range;
  };
  struct Bucket {
    ElementRange slice;           ///< ours
    std::optional<SliceSum> sum;  ///< of our slice
    std::vector<Incoming> incoming;
    std::vector<Outgoing> outgoing;
    std::vector<int> relays;       ///< who takes the new weights of our slice, one rank on each other node
    std::vector<Relayed> relayed;  ///< slices of owners elsewhere whose new weights we take
    PendingList sums_sent, sums_received, weights_received;  ///< under way
  };
  struct Slot {
    Buffer received, folded;
  };
  // A step goes through these in turn; ShareNow is allowed in kIdle alone.
  enum class Phase { kIdle, kBegun, kReduced };

  void AllocateSlots();
  std::vector<size_t> PiecesIn(LaneRange node) const;
  bool Relays(int owner, ElementRange range) const;
  void PlanOwned(int bucket);
  void PlanRelayed(int bucket);
  int LocalIndex(int executor) const { return layout_.FirstExecutor(topology_.local_rank()) + executor; }

  Slot& SlotOf(int bucket) { return slots_[static_cast<size_t>(bucket % kWindow)]; }
  Bucket& BucketAt(int bucket) { return buckets_[static_cast<size_t>(bucket)]; }

  void BeginRecord(CollectiveKind::Value kind, int64_t step);
  void EndRecord();
  bool ReadyOnNode(int bucket);
  bool Advance(const OnSlice& on_slice);
  void ReceiveSums(int bucket);
  void RelaySums(int bucket);
  void ReceiveWeights(int bucket);
  void SendWeights(int bucket);

  // `what` is put together in a string that keeps its memory: a step within a node allocates nothing.
  template <typename Done, typename... Args>
  void WaitUntil(const Done& done, fmt::format_string<Args...> what, Args&&... args) {
    what_.clear();
    fmt::format_to(std::back_inserter(what_), what, std::forward<Args>(args)...);
    comm_.WaitUntil(std::cref(done), what_);
  }

  Communicator& comm_;
  const Topology& topology_;
  const SliceMap& slices_;
  const int lanes_;
  ExchangeLayout layout_;
  ExchangeMemory memory_;
  std::vector<std::vector<float*>> pieces_;    ///< by executor of this rank
  std::vector<std::vector<LaneRange>> nodes_;  ///< by executor of this rank
  std::array<Slot, kWindow> slots_;
  std::vector<Bucket> buckets_;
  PendingList weights_sent_;
  std::string what_;

  Phase phase_ = Phase::kIdle;
  int64_t step_ = 0;    ///< the caller's, for messages
  int64_t number_ = 0;  ///< steps begun: what flags are raised to, so that a step can be done again
  bool share_at_once_ = false;
  int relayed_ = 0;  ///< buckets that are ready on this node, and whose sums are on their way to owners elsewhere
  int reduced_ = 0;  ///< buckets whose slice has been through on_slice
  int ready_executors_ = 0;          ///< executors of this node that have been seen ready for bucket `relayed_`
  uint64_t collective_ = 0;          ///< the recorder's number of the exchange
  std::atomic<int64_t> missing_{0};  ///< of this rank's own part of the exchange: (executor, bucket) pairs to come
};

Exchange::State::State(Communicator& comm, const Options& options, const SliceMap& slices)
    : comm_(comm),
      topology_(comm.topology()),
      slices_(slices),
      lanes_(options.lanes),
      layout_(options, topology_),
      memory_(comm, layout_, Elements(options.buckets), slices.buckets()),
      buckets_(options.buckets.size()) {
  const size_t executors = options.plan[static_cast<size_t>(topology_.rank)].size();
  pieces_.resize(executors);
  nodes_.resize(executors);
  for (size_t i = 0; i < layout_.local_pieces().size(); ++i) {
    const LocalPiece& piece = layout_.local_pieces()[i];
    if (piece.local_rank != topology_.local_rank()) continue;
    pieces_[static_cast<size_t>(piece.executor)].push_back(memory_.piece(i));
    nodes_[static_cast<size_t>(piece.executor)].push_back(piece.node);
  }
  AllocateSlots();
  for (int bucket = 0; bucket < slices_.buckets(); ++bucket) {
    PlanOwned(bucket);
    PlanRelayed(bucket);
  }
  const CoreBudget cores = QueryCores();
  comm_.SetCrowded(static_cast<int>(executors) + 1 > cores.usable ||
                   layout_.local_executors() + topology_.local_size() > cores.machine);
}

// The local pieces of which `node`, a node of this node's lanes, is made.
std::vector<size_t> Exchange::State::PiecesIn(LaneRange node) const {
  std::vector<size_t> pieces;
  for (size_t i = 0; i < layout_.local_pieces().size(); ++i) {
    const LaneRange piece = layout_.local_pieces()[i].node;
    if (node.begin <= piece.begin && piece.end <= node.end) pieces.push_back(i);
  }
  return pieces;
}

// Whether this rank handles `range`, the slice of an owner elsewhere, for this node.
bool Exchange::State::Relays(int owner, ElementRange range) const {
  return range.size() > 0 && topology_.host_of[static_cast<size_t>(owner)] != topology_.host() &&
         layout_.Relay(topology_.host(), owner) == topology_.rank;
}

void Exchange::State::AllocateSlots() {
  size_t incoming = 0, folds = 0, receive_bytes = 0, fold_bytes = 0;
  for (int node = 0; node < static_cast<int>(topology_.hosts.size()); ++node) {
    if (node != topology_.host()) incoming += layout_.node_pieces(node).size();
  }
  for (LaneRange node : layout_.node_pieces(topology_.host())) folds += PiecesIn(node).size() > 1;
  for (int bucket = 0; bucket < slices_.buckets(); ++bucket) {
    receive_bytes = std::max(receive_bytes, incoming * Bytes(slices_.slice(bucket, topology_.rank)));
    size_t relayed = 0;
    for (int owner = 0; owner < topology_.world_size; ++owner) {
      const ElementRange range = slices_.slice(bucket, owner);
      if (Relays(owner, range)) relayed += folds * Bytes(range);
    }
    fold_bytes = std::max(fold_bytes, relayed);
  }
  for (Slot& slot : slots_) slot = {Buffer(receive_bytes), Buffer(fold_bytes)};
}

void Exchange::State::PlanOwned(int index) {
  Bucket& bucket = BucketAt(index);
  bucket.slice = slices_.slice(index, topology_.rank);
  if (bucket.slice.size() == 0) return;
  std::vector<LaneRange> nodes;
  std::vector<const float*> addresses;
  for (size_t i = 0; i < layout_.local_pieces().size(); ++i) {
    nodes.push_back(layout_.local_pieces()[i].node);
    addresses.push_back(memory_.piece(i) + bucket.slice.begin);
  }
  float* next = SlotOf(index).received.As<float>().data();
  for (int node = 0; node < static_cast<int>(topology_.hosts.size()); ++node) {
    if (node == topology_.host()) continue;
    const int relay = layout_.Relay(node, topology_.rank);
    bucket.relays.push_back(relay);
    for (size_t i = 0; i < layout_.node_pieces(node).size(); ++i) {
      nodes.push_back(layout_.node_pieces(node)[i]);
      addresses.push_back(next);
      bucket.incoming.push_back({relay, layout_.SumTag(index, i), {next, static_cast<size_t>(bucket.slice.size())}});
      next += Bytes(bucket.slice) / sizeof(float);
    }
  }
  bucket.sum.emplace(addresses, LaneSumOrder(lanes_, {0, lanes_}, nodes));
}

void Exchange::State::PlanRelayed(int index) {
  Bucket& bucket = BucketAt(index);
  const std::vector<LaneRange>& node_pieces = layout_.node_pieces(topology_.host());
  float* next = SlotOf(index).folded.As<float>().data();
  for (int owner = 0; owner < topology_.world_size; ++owner) {
    const ElementRange range = slices_.slice(index, owner);
    if (!Relays(owner, range)) continue;
    bucket.relayed.push_back({owner, range});
    const size_t size = static_cast<size_t>(range.size());
    for (size_t i = 0; i < node_pieces.size(); ++i) {
      Outgoing out = {owner, layout_.SumTag(index, i), std::nullopt, {}};
      std::vector<LaneRange> nodes;
      std::vector<const float*> addresses;
      for (size_t piece : PiecesIn(node_pieces[i])) {
        nodes.push_back(layout_.local_pieces()[piece].node);
        addresses.push_back(memory_.piece(piece) + range.begin);
        out.buffer = {memory_.piece(piece) + range.begin, size};
      }
      if (nodes.size() > 1) {
        out.fold.emplace(addresses, LaneSumOrder(lanes_, node_pieces[i], nodes));
        out.buffer = {next, size};
        next += Bytes(range) / sizeof(float);
      }
      bucket.outgoing.push_back(std::move(out));
    }
  }
}

void Exchange::State::Begin(int64_t step) {
  CHECK(phase_ == Phase::kIdle, "step {} begins before step {} was shared", step, step_);
  phase_ = Phase::kBegun;
  step_ = step;
  ++number_;
  relayed_ = reduced_ = ready_executors_ = 0;
  missing_ = static_cast<int64_t>(pieces_.size()) * slices_.buckets();
  BeginRecord(CollectiveKind::EXCHANGE, step);
  for (int bucket = 0; bucket < std::min(kWindow, slices_.buckets()); ++bucket) ReceiveSums(bucket);
}

void Exchange::State::PieceReady(int executor, int bucket) {
  CHECK(0 <= executor && static_cast<size_t>(executor) < pieces_.size() && 0 <= bucket && bucket < slices_.buckets(),
        "executor {}, bucket {}", executor, bucket);
  // Before the flag: when all flags are seen, the next step may begin.
  const bool last = missing_.fetch_sub(1) == 1;
  if (FlightRecorder* recorder = comm_.recorder()) {
    recorder->Progress();
    if (last) recorder->EnterCollective(collective_);
  }
  memory_.RaiseReady(LocalIndex(executor), bucket, number_);
}

// This rank enters the exchange when its own pieces are complete, not when it begins to wait for them: a rank whose
// lanes hang must not look like one that waits for others.
void Exchange::State::BeginRecord(CollectiveKind::Value kind, int64_t step) {
  FlightRecorder* recorder = comm_.recorder();
  if (recorder == nullptr) return;
  const auto bytes = static_cast<uint64_t>(weights().size_bytes());
  collective_ = kind == CollectiveKind::EXCHANGE && missing_ > 0 ? recorder->BeginCollective(kind, bytes, {}, step)
                                                                 : recorder->EnterCollective(kind, bytes, {}, step);
}

void Exchange::State::EndRecord() {
  if (comm_.recorder()) comm_.recorder()->LeaveCollective(collective_);
}

void Exchange::State::Reduce(const OnSlice& on_slice, bool share_at_once) {
  CHECK(phase_ == Phase::kBegun, "Reduce without Begin");
  share_at_once_ = share_at_once;
  while (reduced_ < slices_.buckets()) {
    WaitUntil([&] { return Advance(on_slice); }, "the exchange of bucket {} of step {}", reduced_, step_);
  }
  phase_ = Phase::kReduced;
  // What happens before Share may contain other collectives.
  if (!share_at_once) EndRecord();
}

bool Exchange::State::ReadyOnNode(int bucket) {
  while (ready_executors_ < layout_.local_executors() && memory_.Ready(ready_executors_, bucket, number_)) {
    ++ready_executors_;
  }
  return ready_executors_ == layout_.local_executors();
}

// Does what can be done at once for the next buckets in line; false where that is nothing. Relaying comes first: others
// wait for it.
bool Exchange::State::Advance(const OnSlice& on_slice) {
  bool moved = false;
  const bool slot_is_free = relayed_ < kWindow || AllDone(BucketAt(relayed_ - kWindow).sums_sent);
  if (relayed_ < slices_.buckets() && slot_is_free && ReadyOnNode(relayed_)) {
    RelaySums(relayed_);
    if (share_at_once_) ReceiveWeights(relayed_);
    ++relayed_;
    ready_executors_ = 0;
    moved = true;
  }
  if (reduced_ < relayed_ && AllDone(BucketAt(reduced_).sums_received)) {
    const Bucket& bucket = BucketAt(reduced_);
    if (bucket.sum) on_slice(reduced_, bucket.slice, *bucket.sum);
    if (share_at_once_) SendWeights(reduced_);
    if (reduced_ + kWindow < slices_.buckets()) ReceiveSums(reduced_ + kWindow);
    ++reduced_;
    moved = true;
  }
  return moved;
}

// REQUIRES: the bucket kWindow before has been reduced.
void Exchange::State::ReceiveSums(int index) {
  Bucket& bucket = BucketAt(index);
  for (const Incoming& in : bucket.incoming) {
    bucket.sums_received.push_back(comm_.Receive(std::as_writable_bytes(in.buffer), in.from, in.tag));
  }
}

// REQUIRES: the bucket is ready on this node, and the sends of the bucket kWindow before are done.
void Exchange::State::RelaySums(int index) {
  Bucket& bucket = BucketAt(index);
  for (const Outgoing& out : bucket.outgoing) {
    if (out.fold) out.fold->Evaluate(0, out.buffer);
    bucket.sums_sent.push_back(comm_.Send(std::as_bytes(out.buffer), out.to, out.tag));
  }
}

// REQUIRES: no executor of this node reads the bucket's weights any more.
void Exchange::State::ReceiveWeights(int index) {
  Bucket& bucket = BucketAt(index);
  for (const Relayed& relayed : bucket.relayed) {
    const auto slice =
        weights().subspan(static_cast<size_t>(relayed.range.begin), static_cast<size_t>(relayed.range.size()));
    bucket.weights_received.push_back(
        comm_.Receive(std::as_writable_bytes(slice), relayed.owner, layout_.WeightsTag(index)));
  }
}

void Exchange::State::SendWeights(int index) {
  const Bucket& bucket = BucketAt(index);
  const auto slice =
      weights().subspan(static_cast<size_t>(bucket.slice.begin), static_cast<size_t>(bucket.slice.size()));
  for (int relay : bucket.relays) {
    weights_sent_.push_back(comm_.Send(std::as_bytes(slice), relay, layout_.WeightsTag(index)));
  }
}

void Exchange::State::Share() {
  CHECK(phase_ == Phase::kReduced, "Share without Reduce");
  if (!share_at_once_) BeginRecord(CollectiveKind::WEIGHTS, step_);
  for (int bucket = 0; bucket < slices_.buckets() && !share_at_once_; ++bucket) {
    ReceiveWeights(bucket);
    SendWeights(bucket);
  }
  // A send reads a piece or a slice where it lies: only when it is done may they be written again.
  for (int index = 0; index < slices_.buckets(); ++index) {
    Bucket& bucket = BucketAt(index);
    if (bucket.sums_sent.empty() && bucket.weights_received.empty()) continue;
    WaitUntil([&] { return AllDone(bucket.sums_sent) && AllDone(bucket.weights_received); },
              "the new weights of bucket {} of step {}", index, step_);
  }
  if (!weights_sent_.empty()) {
    WaitUntil([&] { return AllDone(weights_sent_); }, "other nodes to take the new weights of step {}", step_);
  }
  memory_.RaiseFinished(topology_.local_rank(), number_);
  for (int local_rank = 0; local_rank < topology_.local_size(); ++local_rank) {
    WaitUntil([&] { return memory_.Finished(local_rank, number_); }, "rank {} to finish the exchange of step {}",
              topology_.rank - topology_.local_rank() + local_rank, step_);
  }
  phase_ = Phase::kIdle;
  EndRecord();
}

void Exchange::State::ShareNow() {
  CHECK(phase_ == Phase::kIdle, "ShareNow inside step {}", step_);
  const char* what = "sharing weights between nodes";
  comm_.Wait(*comm_.Barrier(), what);  // no node may still read weights that another one sends anew
  BeginRecord(CollectiveKind::WEIGHTS, -1);
  for (int bucket = 0; bucket < slices_.buckets(); ++bucket) {
    ReceiveWeights(bucket);
    SendWeights(bucket);
  }
  for (Bucket& bucket : buckets_) {
    WaitUntil([&] { return AllDone(bucket.weights_received) && AllDone(weights_sent_); }, "{}", what);
  }
  EndRecord();
  comm_.Wait(*comm_.Barrier(), what);
}

Exchange::Exchange(Communicator& comm, Options options)
    : slices_(options.buckets, comm.world_size()), state_(std::make_unique<State>(comm, options, slices_)) {}

Exchange::~Exchange() = default;

std::span<float* const> Exchange::pieces(int executor) const { return state_->pieces(executor); }
std::span<const LaneRange> Exchange::piece_nodes(int executor) const { return state_->piece_nodes(executor); }
std::span<float> Exchange::weights() const { return state_->weights(); }
void Exchange::Begin(int64_t step) { state_->Begin(step); }
void Exchange::PieceReady(int executor, int bucket) { state_->PieceReady(executor, bucket); }
void Exchange::Reduce(const OnSlice& on_slice, bool share_at_once) { state_->Reduce(on_slice, share_at_once); }
void Exchange::Share() { state_->Share(); }
void Exchange::ShareNow() { state_->ShareNow(); }

}  // namespace lockstep::comm
