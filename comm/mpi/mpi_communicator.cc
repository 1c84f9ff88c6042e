#include "comm/mpi/mpi_communicator.h"

#include <fmt/format.h>
#include <mpi.h>
#include <sys/prctl.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <climits>
#include <cstring>
#include <exception>
#include <optional>
#include <tuple>
#include <utility>

#include "base/error.h"
#include "base/memory.h"
#include "base/threads.h"
#include "comm/mpi/shared_segment.h"

namespace lockstep::comm {
namespace {

constexpr size_t kMaxMessage = size_t{1} << 30;  // counts are int; longer messages go in parts
constexpr int kTags = 1 << 20;

void Check(int code, const char* call) {
  if (code == MPI_SUCCESS) return;
  char text[MPI_MAX_ERROR_STRING] = "";
  int length = 0;
  MPI_Error_string(code, text, &length);
  throw Error(ErrorKind::kPeer, fmt::format("{} failed: {}", call, std::string_view(text, static_cast<size_t>(length))),
              HostName(), "see the network and the logs of the other ranks");
}

int Count(size_t bytes) {
  CHECK(bytes <= INT_MAX, "a message of {} bytes", bytes);
  return static_cast<int>(bytes);
}

// A message from `from` whose length the receiver knows.
struct Expected {
  int from = -1;
  size_t bytes = 0;
};

// Requests under way. One that is destroyed before it is done (an error ends the rank) is left to MPI, which makes no
// progress any more.
class MpiPending : public Pending {
 public:
  explicit MpiPending(const Topology& topology) : topology_(topology) {}
  void Add(MPI_Request request, Expected expected = {}) { parts_.push_back({request, expected}); }

  bool Done() override {
    while (!parts_.empty()) {
      int done = 0;
      MPI_Status status;
      const int code = MPI_Test(&parts_.back().request, &done, &status);
      if (parts_.back().expected.from >= 0 && (code != MPI_SUCCESS || done)) CheckLength(code, status);
      Check(code, "MPI_Test");
      if (!done) return false;
      parts_.pop_back();
    }
    return true;
  }

 private:
  struct Part {
    MPI_Request request;
    Expected expected;
  };

  // MPI takes a shorter message without a word.
  void CheckLength(int code, const MPI_Status& status) const {
    const Expected& expected = parts_.back().expected;
    int error_class = MPI_SUCCESS, count = 0;
    MPI_Error_class(code, &error_class);
    const bool longer = error_class == MPI_ERR_TRUNCATE;
    if (!longer && code != MPI_SUCCESS) return;
    MPI_Get_count(&status, MPI_BYTE, &count);
    if (!longer && static_cast<size_t>(count) == expected.bytes) return;
    const std::string sent =
        longer ? fmt::format("more than {} bytes", expected.bytes) : fmt::format("{} bytes", count);
    const auto name = [&](int rank) {
      return fmt::format("rank {} on {}", rank, topology_.host_name_of[static_cast<size_t>(rank)]);
    };
    throw Error(
        ErrorKind::kPeer,
        fmt::format("{} has sent {} where {} expects {}: they entered a collective with different element counts",
                    name(expected.from), sent, name(topology_.rank), expected.bytes),
        name(topology_.rank), "the ranks do not run the same model, or the memory or network of one is broken");
  }

  const Topology& topology_;
  std::vector<Part> parts_;
};

struct AbortMessage {
  int rank;
  int exit_code;
};

// The memory of a rank that shares its node with no other: huge pages, which /dev/shm rarely has.
class PrivateMemory : public SharedMemory {
 public:
  explicit PrivateMemory(size_t bytes) : buffer_(bytes) {}
  std::span<std::byte> data() const override { return buffer_.As<std::byte>(); }

 private:
  Buffer buffer_;
};

// Where a rank is, as all ranks learn it at start.
struct Place {
  int world_rank;
  int host;  ///< lowest world rank on the host
  int node;  ///< lowest world rank on the node
  char name[64];
};

class MpiCommunicator : public Communicator {
 public:
  explicit MpiCommunicator(const MpiOptions& options) {
    FindPlaces(options);
    Check(MPI_Comm_dup(all_, &abort_comm_), "MPI_Comm_dup");
    for (MPI_Comm comm : {MPI_COMM_WORLD, all_, node_, abort_comm_}) MPI_Comm_set_errhandler(comm, MPI_ERRORS_RETURN);
    Check(MPI_Irecv(&abort_message_, sizeof abort_message_, MPI_BYTE, MPI_ANY_SOURCE, 0, abort_comm_, &abort_request_),
          "MPI_Irecv");
    SetCrowded(topology_.local_size() > QueryCores().machine);
  }

  ~MpiCommunicator() override {
    // While an exception passes, peers are elsewhere than in MPI_Finalize, which would wait for them.
    if (aborted_ || std::uncaught_exceptions() > 0) return;
    if (abort_request_ != MPI_REQUEST_NULL) {
      MPI_Cancel(&abort_request_);
      MPI_Wait(&abort_request_, MPI_STATUS_IGNORE);
    }
    for (MPI_Comm* comm : {&abort_comm_, &node_, &all_}) MPI_Comm_free(comm);
    MPI_Finalize();
  }

  const Topology& topology() const override { return topology_; }

  std::unique_ptr<Pending> DoBarrier() override {
    return Start([&](MPI_Request* request) { return MPI_Ibarrier(all_, request); }, "MPI_Ibarrier");
  }

  std::unique_ptr<Pending> DoBroadcast(std::span<std::byte> bytes, int root) override {
    return Start(
        [&](MPI_Request* request) {
          return MPI_Ibcast(bytes.data(), Count(bytes.size()), MPI_BYTE, root, all_, request);
        },
        "MPI_Ibcast");
  }

  std::unique_ptr<Pending> DoAllGather(std::span<const std::byte> mine, std::span<std::byte> all) override {
    CHECK(all.size() == mine.size() * static_cast<size_t>(world_size()), "{} and {} bytes", mine.size(), all.size());
    return StartAllGather(mine, all, all_);
  }

  std::unique_ptr<Pending> Send(std::span<const std::byte> bytes, int to, int tag) override {
    CheckAddress(to, tag);
    return InParts(bytes, {}, [&](auto part, MPI_Request* request) {
      Check(MPI_Isend(part.data(), Count(part.size()), MPI_BYTE, to, tag, all_, request), "MPI_Isend");
    });
  }

  std::unique_ptr<Pending> Receive(std::span<std::byte> bytes, int from, int tag) override {
    CheckAddress(from, tag);
    return InParts(bytes, {.from = from}, [&](auto part, MPI_Request* request) {
      Check(MPI_Irecv(part.data(), Count(part.size()), MPI_BYTE, from, tag, all_, request), "MPI_Irecv");
    });
  }

  std::vector<std::unique_ptr<SharedMemory>> DoShareWithinHost(size_t bytes) override;
  void Abort(int exit_code) override;

  void Exit(int exit_code) override {
    aborted_ = true;
    MPI_Abort(MPI_COMM_WORLD, exit_code);
  }

  void DoPoll() override {
    if (abort_request_ != MPI_REQUEST_NULL) {
      int done = 0;
      Check(MPI_Test(&abort_request_, &done, MPI_STATUS_IGNORE), "MPI_Test");
      peer_aborted_ = done != 0;
    }
    if (peer_aborted_) throw PeerAborted(abort_message_.rank, abort_message_.exit_code);
  }

 private:
  void FindPlaces(const MpiOptions& options);
  void MakeTopology(const std::vector<Place>& places);

  template <typename Call>
  std::unique_ptr<Pending> Start(const Call& call, const char* name) {
    auto pending = std::make_unique<MpiPending>(topology_);
    MPI_Request request;
    Check(call(&request), name);
    pending->Add(request);
    return pending;
  }

  std::unique_ptr<Pending> StartAllGather(std::span<const std::byte> mine, std::span<std::byte> all, MPI_Comm comm) {
    const int count = Count(mine.size());
    return Start(
        [&](MPI_Request* request) {
          return MPI_Iallgather(mine.data(), count, MPI_BYTE, all.data(), count, MPI_BYTE, comm, request);
        },
        "MPI_Iallgather");
  }

  // The parts of a long message have one tag: MPI keeps their order.
  template <typename Byte, typename Call>
  std::unique_ptr<Pending> InParts(std::span<Byte> bytes, Expected expected, const Call& call) {
    auto pending = std::make_unique<MpiPending>(topology_);
    size_t begin = 0;
    do {
      MPI_Request request;
      const size_t size = std::min(kMaxMessage, bytes.size() - begin);
      call(bytes.subspan(begin, size), &request);
      expected.bytes = size;
      pending->Add(request, expected);
      begin += size;
    } while (begin < bytes.size());
    return pending;
  }

  void CheckAddress(int peer, int tag) const {
    CHECK(0 <= peer && peer < world_size() && peer != rank() && 0 <= tag && tag < kTags, "rank {}, tag {}", peer, tag);
  }

  Topology topology_;
  MPI_Comm all_ = MPI_COMM_NULL;         ///< ranks by (host, local rank)
  MPI_Comm node_ = MPI_COMM_NULL;        ///< those of this node, by local rank
  MPI_Comm abort_comm_ = MPI_COMM_NULL;  ///< of its own, so that an abort overtakes whatever else is under way
  AbortMessage abort_message_ = {}, own_abort_ = {};
  MPI_Request abort_request_ = MPI_REQUEST_NULL;
  bool peer_aborted_ = false;
  bool aborted_ = false;
};

// Collective calls may block here: the job has just started, and an error still ends it through MPI itself.
void MpiCommunicator::FindPlaces(const MpiOptions& options) {
  Place mine = {};
  MPI_Comm_rank(MPI_COMM_WORLD, &mine.world_rank);
  std::strncpy(mine.name, HostName().c_str(), sizeof mine.name - 1);

  MPI_Comm host;
  Check(MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, mine.world_rank, MPI_INFO_NULL, &host),
        "MPI_Comm_split_type");
  int local_rank = 0;
  MPI_Comm_rank(host, &local_rank);
  const int color = options.ranks_per_node > 0 ? local_rank / options.ranks_per_node : 0;
  Check(MPI_Comm_split(host, color, local_rank, &node_), "MPI_Comm_split");
  Check(MPI_Allreduce(&mine.world_rank, &mine.host, 1, MPI_INT, MPI_MIN, host), "MPI_Allreduce");
  Check(MPI_Allreduce(&mine.world_rank, &mine.node, 1, MPI_INT, MPI_MIN, node_), "MPI_Allreduce");
  MPI_Comm_free(&host);

  int world_size = 1;
  MPI_Comm_size(MPI_COMM_WORLD, &world_size);
  std::vector<Place> places(static_cast<size_t>(world_size));
  Check(MPI_Allgather(&mine, sizeof mine, MPI_BYTE, places.data(), sizeof mine, MPI_BYTE, MPI_COMM_WORLD),
        "MPI_Allgather");
  std::sort(places.begin(), places.end(), [](const Place& a, const Place& b) {
    return std::tuple(a.host, a.world_rank) < std::tuple(b.host, b.world_rank);
  });
  const auto self = std::find_if(places.begin(), places.end(),
                                 [&](const Place& place) { return place.world_rank == mine.world_rank; });
  topology_.rank = static_cast<int>(self - places.begin());
  topology_.world_size = world_size;
  MakeTopology(places);
  Check(MPI_Comm_split(MPI_COMM_WORLD, 0, topology_.rank, &all_), "MPI_Comm_split");
}

void MpiCommunicator::MakeTopology(const std::vector<Place>& places) {
  for (size_t rank = 0; rank < places.size(); ++rank) {
    if (rank == 0 || places[rank].node != places[rank - 1].node) topology_.hosts.emplace_back();
    topology_.hosts.back().push_back(static_cast<int>(rank));
    topology_.host_of.push_back(static_cast<int>(topology_.hosts.size()) - 1);
    topology_.host_name_of.push_back(places[rank].name);
  }
}

std::vector<std::unique_ptr<SharedMemory>> MpiCommunicator::DoShareWithinHost(size_t bytes) {
  // What the ranks of the node tell each other about their segments.
  struct Card {
    uint64_t bytes = 0;
    int failed = 0;
    char name[108] = "";
  };
  const size_t local_size = static_cast<size_t>(topology_.local_size());
  if (local_size == 1) {
    std::vector<std::unique_ptr<SharedMemory>> alone;
    alone.push_back(std::make_unique<PrivateMemory>(bytes));
    return alone;
  }
  const char* what = "the shared memory of this node's ranks";
  std::unique_ptr<SharedSegment> own;
  std::optional<Error> error;
  Card mine;
  mine.bytes = bytes;
  try {
    if (bytes > 0) own = SharedSegment::Create(bytes);
    if (own) std::strncpy(mine.name, own->name().c_str(), sizeof mine.name - 1);
  } catch (const Error& e) {
    error = e;
    mine.failed = 1;
  }
  std::vector<Card> cards(local_size);
  const auto gather = [&] {
    Wait(*StartAllGather(std::as_bytes(std::span(&mine, 1)), std::as_writable_bytes(std::span(cards)), node_), what);
  };
  gather();
  // Where several ranks find no room, the first one speaks; the others wait for its abort.
  const auto failed = std::find_if(cards.begin(), cards.end(), [](const Card& card) { return card.failed != 0; });
  if (failed != cards.end()) {
    own.reset();
    if (failed - cards.begin() == topology_.local_rank()) throw *error;
    WaitUntil([] { return false; }, what);
  }

  std::vector<std::unique_ptr<SharedMemory>> segments(local_size);
  for (size_t i = 0; i < local_size; ++i) {
    if (static_cast<int>(i) == topology_.local_rank() || cards[i].bytes == 0) continue;
    segments[i] = SharedSegment::Open(cards[i].name, cards[i].bytes);
  }
  gather();  // all have mapped all
  if (own) own->Unlink();
  segments[static_cast<size_t>(topology_.local_rank())] = std::move(own);
  for (auto& segment : segments) {
    if (!segment) segment = std::make_unique<PrivateMemory>(0);
  }
  return segments;
}

void MpiCommunicator::Abort(int exit_code) {
  if (std::exchange(aborted_, true)) return;
  own_abort_ = {rank(), exit_code};
  std::vector<MPI_Request> requests;
  for (int peer = 0; peer < world_size(); ++peer) {
    if (peer == rank()) continue;
    MPI_Request request;
    if (MPI_Isend(&own_abort_, sizeof own_abort_, MPI_BYTE, peer, 0, abort_comm_, &request) == MPI_SUCCESS) {
      requests.push_back(request);
    }
  }
  // The message must leave this process, but a peer that is gone must not hold it up.
  const auto limit = std::chrono::steady_clock::now() + std::chrono::milliseconds(200);
  int done = 0;
  while (!done && std::chrono::steady_clock::now() < limit) {
    if (MPI_Testall(static_cast<int>(requests.size()), requests.data(), &done, MPI_STATUSES_IGNORE) != MPI_SUCCESS)
      break;
  }
}

}  // namespace

std::unique_ptr<Communicator> StartMpi(const MpiOptions& options) {
  int provided = MPI_THREAD_SINGLE;
  Check(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &provided), "MPI_Init_thread");
  MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
  if (provided < MPI_THREAD_FUNNELED) {
    throw Error(ErrorKind::kUsage, fmt::format("{} gives no threads", MpiDescription()), HostName(),
                "use an MPI that provides MPI_THREAD_FUNNELED");
  }
  int* largest_tag = nullptr;
  int found = 0;
  Check(MPI_Comm_get_attr(MPI_COMM_WORLD, MPI_TAG_UB, &largest_tag, &found), "MPI_Comm_get_attr");
  if (found && *largest_tag < kTags - 1) {
    throw Error(ErrorKind::kUsage, fmt::format("{} has tags up to {} only", MpiDescription(), *largest_tag), HostName(),
                fmt::format("use an MPI, or a transport of it, that has {}", kTags - 1));
  }
  // Waits sleep for microseconds; the default slack would make fifty of five.
  prctl(PR_SET_TIMERSLACK, 1000);
  return std::make_unique<MpiCommunicator>(options);
}

std::string MpiDescription() {
  std::array<char, MPI_MAX_LIBRARY_VERSION_STRING + 1> text = {};
  int length = 0;
  MPI_Get_library_version(text.data(), &length);
  std::string name(text.data());
  name.resize(std::min(name.find_first_of(",\n"), name.size()));  // details follow
  const size_t version = name.find(" v");
  if (version != std::string::npos) name.erase(version + 1, 1);
  return name;
}

}  // namespace lockstep::comm
