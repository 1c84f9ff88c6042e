#include "comm/local/local_communicator.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <deque>
#include <map>
#include <thread>
#include <tuple>
#include <utility>

#include "base/error.h"
#include "base/machine/host.h"
#include "base/memory.h"
#include "base/mutex.h"

namespace lockstep::comm {
namespace {

// One side of a message. The bytes are the caller's: a send is done when it has been received, so that code that counts
// on buffered sends hangs here, in a test.
template <typename Byte>
struct Letter {
  std::span<Byte> bytes;
  bool done = false;
};
using Sent = Letter<const std::byte>;
using Awaited = Letter<std::byte>;

// The messages of one sender, receiver and tag that are still without a partner: on one side at most, after Deliver.
struct MailBox {
  std::deque<std::shared_ptr<Sent>> sent;
  std::deque<std::shared_ptr<Awaited>> awaited;

  void Deliver() {
    while (!sent.empty() && !awaited.empty()) {
      Sent& from = *sent.front();
      Awaited& to = *awaited.front();
      CHECK(from.bytes.size() == to.bytes.size(), "sent {}, expected {} bytes", from.bytes.size(), to.bytes.size());
      std::copy(from.bytes.begin(), from.bytes.end(), to.bytes.begin());
      from.done = to.done = true;
      sent.pop_front();
      awaited.pop_front();
    }
  }
};

struct Collective {
  std::string kind;
  std::vector<std::vector<std::byte>> parts;
  std::vector<bool> arrived;
  int arrivals = 0;
  int departures = 0;
};

struct HostShare {
  std::vector<std::shared_ptr<Buffer>> segments;
  int arrivals = 0;
  int departures = 0;
};

struct World {
  LocalWorldOptions options;
  Topology topology;
  std::atomic<uint64_t> abort{0};  ///< (rank + 1) << 32 | exit code, of the first rank that aborted

  Mutex mutex;
  std::map<std::tuple<int, int, int>, MailBox> mail GUARDED_BY(mutex);    ///< by (from, to, tag)
  std::map<int64_t, Collective> collectives GUARDED_BY(mutex);            ///< by number in the common order of calls
  std::map<std::pair<int, int64_t>, HostShare> shares GUARDED_BY(mutex);  ///< by (host, number)
};

class FunctionPending : public Pending {
 public:
  explicit FunctionPending(std::function<bool()> advance) : advance_(std::move(advance)) {}
  bool Done() override {
    if (!done_) done_ = advance_();
    return done_;
  }

 private:
  std::function<bool()> advance_;
  bool done_ = false;
};

// One side of a message under way. Its bytes go away with it when an error ends its wait: it is then taken back.
template <typename Byte>
class MailPending : public Pending {
 public:
  using Queue = std::deque<std::shared_ptr<Letter<Byte>>>;
  MailPending(std::shared_ptr<World> world, std::shared_ptr<Letter<Byte>> letter, Queue& queue)
      : world_(std::move(world)), letter_(std::move(letter)), queue_(queue) {}
  ~MailPending() override {
    MutexLock lock(world_->mutex);
    if (!letter_->done) std::erase(queue_, letter_);
  }
  bool Done() override {
    MutexLock lock(world_->mutex);
    return letter_->done;
  }

 private:
  std::shared_ptr<World> world_;
  std::shared_ptr<Letter<Byte>> letter_;
  Queue& queue_;
};

class ThreadSharedMemory : public SharedMemory {
 public:
  explicit ThreadSharedMemory(std::shared_ptr<Buffer> buffer) : buffer_(std::move(buffer)) {}
  std::span<std::byte> data() const override { return {buffer_->data(), buffer_->size()}; }

 private:
  std::shared_ptr<Buffer> buffer_;
};

class LocalTransport : public Transport {
 public:
  LocalTransport(std::shared_ptr<World> world, int rank) : world_(std::move(world)), topology_(world_->topology) {
    topology_.rank = rank;
  }

  const Topology& topology() const override { return topology_; }

  std::unique_ptr<Pending> Barrier() override {
    const int64_t number = Arrive("barrier", {});
    return Departure(number, -1, [](const Collective&) {});
  }

  std::unique_ptr<Pending> Broadcast(std::span<std::byte> bytes, int root) override {
    const int64_t number = Arrive(fmt::format("broadcast of {} bytes from {}", bytes.size(), root),
                                  rank() == root ? bytes : std::span<std::byte>());
    return Departure(number, root, [this, bytes, root](const Collective& collective) {
      if (rank() != root && !bytes.empty()) {
        std::memcpy(bytes.data(), collective.parts[static_cast<size_t>(root)].data(), bytes.size());
      }
    });
  }

  std::unique_ptr<Pending> AllGather(std::span<const std::byte> mine, std::span<std::byte> all) override {
    CHECK(all.size() == mine.size() * static_cast<size_t>(world_size()), "{} and {} bytes", mine.size(), all.size());
    const int64_t number = Arrive(fmt::format("all-gather of {} bytes", mine.size()), mine);
    return Departure(number, -1, [all](const Collective& collective) {
      std::byte* out = all.data();
      for (const auto& part : collective.parts) {
        if (!part.empty()) std::memcpy(out, part.data(), part.size());
        out += part.size();
      }
    });
  }

  std::unique_ptr<Pending> Send(std::span<const std::byte> bytes, int to, int tag) override {
    CheckAddress(to, tag);
    return Post(bytes, {rank(), to, tag}, &MailBox::sent);
  }

  std::unique_ptr<Pending> Receive(std::span<std::byte> bytes, int from, int tag) override {
    CheckAddress(from, tag);
    return Post(bytes, {from, rank(), tag}, &MailBox::awaited);
  }

  std::vector<std::unique_ptr<SharedMemory>> ShareWithinHost(size_t bytes, const WaitUntil& wait_until) override {
    Enter();
    const size_t local_size = static_cast<size_t>(topology_.local_size());
    HostShare* share;
    {
      MutexLock lock(world_->mutex);
      share = &world_->shares[{topology_.host(), shares_++}];
      share->segments.resize(local_size);
      share->segments[static_cast<size_t>(topology_.local_rank())] = std::make_shared<Buffer>(bytes);
      ++share->arrivals;
    }
    wait_until([&] {
      MutexLock lock(world_->mutex);
      return share->arrivals == static_cast<int>(local_size);
    });
    std::vector<std::unique_ptr<SharedMemory>> segments;
    MutexLock lock(world_->mutex);
    for (const auto& buffer : share->segments) segments.push_back(std::make_unique<ThreadSharedMemory>(buffer));
    if (++share->departures == static_cast<int>(local_size)) share->segments.clear();
    return segments;
  }

  void Abort(int exit_code) override {
    uint64_t none = 0;
    world_->abort.compare_exchange_strong(none, uint64_t(rank() + 1) << 32 | static_cast<uint32_t>(exit_code));
  }

  void Exit(int) override {}

  /// A message whose Pending is destroyed has been taken back.
  void KeepUntilExit(std::shared_ptr<void>) override {}

  void Poll() override {
    const uint64_t abort = world_->abort.load();
    const int from = static_cast<int>(abort >> 32) - 1;
    if (abort != 0 && from != rank()) throw PeerAborted(from, static_cast<int>(abort & 0xFFFFFFFFu));
  }

 private:
  void Enter() {
    if (world_->options.on_operation) world_->options.on_operation(rank(), operations_++);
  }

  void CheckAddress(int peer, int tag) const {
    CHECK(0 <= peer && peer < world_size() && peer != rank() && 0 <= tag && tag < kTags, "rank {}, tag {}", peer, tag);
  }

  template <typename Byte>
  std::unique_ptr<Pending> Post(std::span<Byte> bytes, std::tuple<int, int, int> address,
                                std::deque<std::shared_ptr<Letter<Byte>>> MailBox::*side) {
    Enter();
    auto letter = std::make_shared<Letter<Byte>>(Letter<Byte>{bytes});
    MutexLock lock(world_->mutex);
    MailBox& box = world_->mail[address];
    (box.*side).push_back(letter);
    box.Deliver();
    return std::make_unique<MailPending<Byte>>(world_, std::move(letter), box.*side);
  }

  int64_t Arrive(const std::string& kind, std::span<const std::byte> part) {
    Enter();
    const int64_t number = collectives_++;
    MutexLock lock(world_->mutex);
    Collective& collective = world_->collectives[number];
    if (collective.parts.empty()) {
      collective.kind = kind;
      collective.parts.resize(static_cast<size_t>(world_size()));
      collective.arrived.resize(static_cast<size_t>(world_size()));
    }
    CHECK(collective.kind == kind, "rank {} calls a {}, others a {}", rank(), kind, collective.kind);
    collective.parts[static_cast<size_t>(rank())].assign(part.begin(), part.end());
    collective.arrived[static_cast<size_t>(rank())] = true;
    ++collective.arrivals;
    return number;
  }

  // Done when rank `source` (-1: every rank) has arrived.
  std::unique_ptr<Pending> Departure(int64_t number, int source, std::function<void(const Collective&)> take) {
    return std::make_unique<FunctionPending>([world = world_, number, source, take = std::move(take)] {
      MutexLock lock(world->mutex);
      Collective& collective = world->collectives.at(number);
      const int all = world->topology.world_size;
      if (source < 0 ? collective.arrivals < all : !collective.arrived[static_cast<size_t>(source)]) return false;
      take(collective);
      if (++collective.departures == all) world->collectives.erase(number);
      return true;
    });
  }

  int rank() const { return topology_.rank; }
  int world_size() const { return topology_.world_size; }

  std::shared_ptr<World> world_;
  Topology topology_;
  int64_t operations_ = 0, collectives_ = 0, shares_ = 0;
};

Topology MakeTopology(const LocalWorldOptions& options) {
  Topology topology;
  topology.world_size = options.world_size;
  std::vector<int> sizes = options.ranks_per_host;
  if (sizes.empty()) sizes = {options.world_size};
  for (size_t host = 0; host < sizes.size(); ++host) {
    std::vector<int>& ranks = topology.hosts.emplace_back();
    for (int i = 0; i < sizes[host]; ++i) {
      ranks.push_back(static_cast<int>(topology.host_of.size()));
      topology.host_of.push_back(static_cast<int>(host));
      topology.host_name_of.push_back(sizes.size() == 1 ? HostName() : fmt::format("host{}", host));
    }
  }
  CHECK(options.world_size >= 1 && topology.host_of.size() == static_cast<size_t>(options.world_size),
        "{} ranks, but hosts of {}", options.world_size, topology.host_of.size());
  return topology;
}

}  // namespace

std::vector<std::unique_ptr<Communicator>> MakeLocalWorld(const LocalWorldOptions& options) {
  auto world = std::make_shared<World>();
  world->options = options;
  world->topology = MakeTopology(options);
  std::vector<std::unique_ptr<Communicator>> ranks;
  for (int rank = 0; rank < options.world_size; ++rank) {
    ranks.push_back(std::make_unique<Communicator>(std::make_unique<LocalTransport>(world, rank)));
  }
  return ranks;
}

void RunLocalWorld(const LocalWorldOptions& options, const std::function<void(Communicator&)>& body) {
  std::vector<std::unique_ptr<Communicator>> ranks = MakeLocalWorld(options);
  Mutex mutex;
  std::exception_ptr first;
  const auto fail = [&](Communicator& comm, int exit_code) {
    MutexLock lock(mutex);
    if (!first) first = std::current_exception();
    comm.Abort(exit_code);
  };
  const auto run = [&](Communicator& comm) {
    try {
      body(comm);
    } catch (const PeerAborted&) {
      // The rank that it names reports the error.
    } catch (const Error& error) {
      fail(comm, error.exit_code());
    } catch (...) {
      fail(comm, static_cast<int>(ErrorKind::kInternal));
    }
  };
  std::vector<std::thread> threads;
  for (auto& comm : ranks) threads.emplace_back(run, std::ref(*comm));
  for (std::thread& thread : threads) thread.join();
  if (first) std::rethrow_exception(first);
}

}  // namespace lockstep::comm
