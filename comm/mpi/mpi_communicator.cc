#include "comm/mpi/mpi_communicator.h"

#include <fmt/format.h>
#include <mpi.h>
#include <sys/prctl.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <exception>
#include <optional>
#include <string_view>
#include <tuple>
#include <utility>

#include "base/error.h"
#include "base/machine/host.h"
#include "base/memory.h"
#include "comm/mpi/end_limit.h"
#include "comm/mpi/pending_requests.h"
#include "comm/mpi/shared_segment.h"

namespace lockstep::comm {
namespace {

constexpr size_t kMaxMessage = size_t{1} << 30;  // counts are int; longer messages go in parts

constexpr std::chrono::seconds kEndLimit(15);
constexpr int kMostTurns = 8;
constexpr std::chrono::milliseconds kTurn(250);

struct AbortMessage {
  int rank;
  int exit_code;
};

// The memory of a rank that shares its host with no other: huge pages, which /dev/shm rarely has.
class PrivateMemory : public SharedMemory {
 public:
  explicit PrivateMemory(size_t bytes) : buffer_(bytes) {}
  std::span<std::byte> data() const override { return buffer_.As<std::byte>(); }

 private:
  Buffer buffer_;
};

// What the ranks of a host tell each other about their segments.
struct Card {
  uint64_t bytes = 0;
  int failed = 0;
  char name[108] = "";
};

// A segment that this rank has made for the others to map, or why there is none.
struct Offer {
  Card card;
  std::unique_ptr<SharedSegment> segment;  ///< null where none is asked for, too
  std::optional<Error> error;
};

Offer MakeOffer(size_t bytes) {
  Offer offer;
  offer.card.bytes = bytes;
  try {
    if (bytes > 0) offer.segment = SharedSegment::Create(bytes);
    if (offer.segment) std::strncpy(offer.card.name, offer.segment->name().c_str(), sizeof offer.card.name - 1);
  } catch (const Error& error) {
    offer.error = error;
    offer.card.failed = 1;
  }
  return offer;
}

// Where a rank is, as all ranks learn it at start.
struct Place {
  int world_rank;
  int machine;  ///< lowest world rank on the machine
  int host;     ///< lowest world rank on the host, which is the machine or (in tests) a part of it
  char name[64];
};

class MpiTransport : public Transport {
 public:
  explicit MpiTransport(const MpiOptions& options) : on_stuck_end_(options.on_stuck_end) {
    FindPlaces(options);
    Check(MPI_Comm_dup(all_, &abort_comm_), "MPI_Comm_dup");
    for (MPI_Comm comm : {MPI_COMM_WORLD, all_, host_, abort_comm_}) MPI_Comm_set_errhandler(comm, MPI_ERRORS_RETURN);
    Check(MPI_Irecv(&abort_message_, sizeof abort_message_, MPI_BYTE, MPI_ANY_SOURCE, 0, abort_comm_, &abort_request_),
          "MPI_Irecv");
  }

  ~MpiTransport() override {
    // While an exception passes, peers are elsewhere than in MPI_Finalize, which would wait for them.
    if (aborted_ || std::uncaught_exceptions() > 0) return;
    if (abort_request_ != MPI_REQUEST_NULL) {
      MPI_Cancel(&abort_request_);
      MPI_Wait(&abort_request_, MPI_STATUS_IGNORE);
    }
    Finish();
  }

  const Topology& topology() const override { return topology_; }

  std::unique_ptr<Pending> Barrier() override {
    return Start(nullptr, "MPI_Ibarrier", [&](MPI_Request* request) { return MPI_Ibarrier(all_, request); });
  }

  std::unique_ptr<Pending> Broadcast(std::span<std::byte> bytes, int root) override {
    auto staged = std::make_shared<StagedCollective>();
    staged->out.assign(bytes.begin(), bytes.end());
    if (topology_.rank != root) staged->to = bytes;
    std::byte* const data = staged->out.data();
    return Start(std::move(staged), "MPI_Ibcast", [&](MPI_Request* request) {
      return MPI_Ibcast(data, Count(bytes.size()), MPI_BYTE, root, all_, request);
    });
  }

  std::unique_ptr<Pending> AllGather(std::span<const std::byte> mine, std::span<std::byte> all) override {
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

  std::vector<std::unique_ptr<SharedMemory>> ShareWithinHost(size_t bytes, const WaitUntil& wait_until) override;
  void KeepUntilExit(std::shared_ptr<void> memory) override { KeepForever(std::move(memory)); }
  void Abort(int exit_code) override;

  void Exit(int exit_code) override {
    aborted_ = true;
    MPI_Abort(MPI_COMM_WORLD, exit_code);
  }

  void Poll() override {
    if (abort_request_ != MPI_REQUEST_NULL) {
      int done = 0;
      Check(MPI_Test(&abort_request_, &done, MPI_STATUS_IGNORE), "MPI_Test");
      peer_aborted_ = done != 0;
    }
    if (peer_aborted_) throw PeerAborted(abort_message_.rank, abort_message_.exit_code);
  }

 private:
  void Finish();
  void FindPlaces(const MpiOptions& options);
  void MakeTopology(const std::vector<Place>& places);

  template <typename Call>
  std::unique_ptr<Pending> Start(std::shared_ptr<StagedCollective> staged, const char* name, const Call& call) {
    auto pending = std::make_unique<PendingRequests>(topology_, std::move(staged));
    MPI_Request request;
    Check(call(&request), name);
    pending->Add(request);
    return pending;
  }

  std::unique_ptr<Pending> StartAllGather(std::span<const std::byte> mine, std::span<std::byte> all, MPI_Comm comm) {
    const int count = Count(mine.size());
    auto staged = std::make_shared<StagedCollective>();
    staged->in.assign(mine.begin(), mine.end());
    staged->out.resize(all.size());
    staged->to = all;
    StagedCollective& bytes = *staged;
    return Start(std::move(staged), "MPI_Iallgather", [&](MPI_Request* request) {
      return MPI_Iallgather(bytes.in.data(), count, MPI_BYTE, bytes.out.data(), count, MPI_BYTE, comm, request);
    });
  }

  std::vector<Card> GatherCards(const Card& mine, const WaitUntil& wait_until) {
    std::vector<Card> cards(static_cast<size_t>(topology_.local_size()));
    const std::unique_ptr<Pending> gathered =
        StartAllGather(std::as_bytes(std::span(&mine, 1)), std::as_writable_bytes(std::span(cards)), host_);
    wait_until([&] { return gathered->Done(); });
    return cards;
  }

  // The parts of a long message have one tag: MPI keeps their order.
  template <typename Byte, typename Call>
  std::unique_ptr<Pending> InParts(std::span<Byte> bytes, Expected expected, const Call& call) {
    auto pending = std::make_unique<PendingRequests>(topology_);
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

  int rank() const { return topology_.rank; }
  int world_size() const { return topology_.world_size; }

  const std::function<void(const Error&)> on_stuck_end_;
  Topology topology_;
  MPI_Comm all_ = MPI_COMM_NULL;         ///< ranks by (host, local rank)
  MPI_Comm host_ = MPI_COMM_NULL;        ///< those of this host, by local rank
  MPI_Comm abort_comm_ = MPI_COMM_NULL;  ///< of its own, so that an abort overtakes whatever else is under way
  AbortMessage abort_message_ = {}, own_abort_ = {};
  MPI_Request abort_request_ = MPI_REQUEST_NULL;
  bool peer_aborted_ = false;
  bool aborted_ = false;
};

void MpiTransport::Finish() {
  std::optional<EndLimit> limit;
  // The lowest rank that waits speaks; the launcher then ends the others.
  const auto turn = std::min(rank(), kMostTurns) * kTurn;
  if (on_stuck_end_ && world_size() > 1)
    limit.emplace(kEndLimit + turn, [&] {
      on_stuck_end_(
          Error(ErrorKind::kPeer, "a rank does not come to the end of the job: what this one had to do is done",
                topology_.Name(), "look which process of the job still lives; nothing that was saved is lost"));
    });
  for (MPI_Comm* comm : {&abort_comm_, &host_, &all_}) MPI_Comm_free(comm);
  MPI_Finalize();
}

// Collective calls may block here: the job has just started. Where one fails, or a rank is gone, no abort is heard yet:
// the launcher ends the job.
void MpiTransport::FindPlaces(const MpiOptions& options) {
  Place mine = {};
  MPI_Comm_rank(MPI_COMM_WORLD, &mine.world_rank);
  std::strncpy(mine.name, HostName().c_str(), sizeof mine.name - 1);

  MPI_Comm machine;
  Check(MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, mine.world_rank, MPI_INFO_NULL, &machine),
        "MPI_Comm_split_type");
  int local_rank = 0;
  MPI_Comm_rank(machine, &local_rank);
  const int color = options.ranks_per_host > 0 ? local_rank / options.ranks_per_host : 0;
  Check(MPI_Comm_split(machine, color, local_rank, &host_), "MPI_Comm_split");
  Check(MPI_Allreduce(&mine.world_rank, &mine.machine, 1, MPI_INT, MPI_MIN, machine), "MPI_Allreduce");
  Check(MPI_Allreduce(&mine.world_rank, &mine.host, 1, MPI_INT, MPI_MIN, host_), "MPI_Allreduce");
  MPI_Comm_free(&machine);

  int world_size = 1;
  MPI_Comm_size(MPI_COMM_WORLD, &world_size);
  std::vector<Place> places(static_cast<size_t>(world_size));
  Check(MPI_Allgather(&mine, sizeof mine, MPI_BYTE, places.data(), sizeof mine, MPI_BYTE, MPI_COMM_WORLD),
        "MPI_Allgather");
  std::sort(places.begin(), places.end(), [](const Place& a, const Place& b) {
    return std::tuple(a.machine, a.world_rank) < std::tuple(b.machine, b.world_rank);
  });
  const auto self = std::find_if(places.begin(), places.end(),
                                 [&](const Place& place) { return place.world_rank == mine.world_rank; });
  topology_.rank = static_cast<int>(self - places.begin());
  topology_.world_size = world_size;
  MakeTopology(places);
  Check(MPI_Comm_split(MPI_COMM_WORLD, 0, topology_.rank, &all_), "MPI_Comm_split");
}

void MpiTransport::MakeTopology(const std::vector<Place>& places) {
  for (size_t rank = 0; rank < places.size(); ++rank) {
    if (rank == 0 || places[rank].host != places[rank - 1].host) topology_.hosts.emplace_back();
    topology_.hosts.back().push_back(static_cast<int>(rank));
    topology_.host_of.push_back(static_cast<int>(topology_.hosts.size()) - 1);
    topology_.host_name_of.push_back(places[rank].name);
  }
}

// Where several ranks find no room, the first one speaks; the others wait for its abort.
std::vector<std::unique_ptr<SharedMemory>> MpiTransport::ShareWithinHost(size_t bytes, const WaitUntil& wait_until) {
  const auto local_size = static_cast<size_t>(topology_.local_size());
  const auto mine = static_cast<size_t>(topology_.local_rank());
  std::vector<std::unique_ptr<SharedMemory>> segments(local_size);
  if (local_size == 1) {
    segments.front() = std::make_unique<PrivateMemory>(bytes);
    return segments;
  }
  Offer own = MakeOffer(bytes);
  const std::vector<Card> cards = GatherCards(own.card, wait_until);
  const auto failed = std::find_if(cards.begin(), cards.end(), [](const Card& card) { return card.failed != 0; });
  if (failed != cards.end()) {
    own.segment.reset();
    if (failed - cards.begin() == topology_.local_rank()) throw *own.error;
    wait_until([] { return false; });
  }
  for (size_t i = 0; i < local_size; ++i) {
    if (i == mine || cards[i].bytes == 0) continue;
    segments[i] = SharedSegment::Open(cards[i].name, cards[i].bytes);
  }
  GatherCards(own.card, wait_until);  // all have mapped all
  if (own.segment) own.segment->Unlink();
  segments[mine] = std::move(own.segment);
  for (auto& segment : segments) {
    if (!segment) segment = std::make_unique<PrivateMemory>(0);
  }
  return segments;
}

void MpiTransport::Abort(int exit_code) {
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
  // The message must leave this process, but a peer that is gone must not hold it up. MPI makes progress meanwhile with
  // whatever else is under way, which is why memory of abandoned messages is kept.
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
  return std::make_unique<Communicator>(std::make_unique<MpiTransport>(options));
}

std::string MpiDescription() {
  std::array<char, MPI_MAX_LIBRARY_VERSION_STRING + 1> text = {};
  int length = 0;
  MPI_Get_library_version(text.data(), &length);
  std::string name(text.data());
  name.resize(std::min(name.find_first_of(",\n"), name.size()));  // details follow
  const size_t version = name.find(" v");
  if (version != std::string::npos) name.erase(version + 1, 1);
  constexpr std::string_view kLabel = "Version:";  // MPICH's, with blanks behind it
  if (const size_t label = name.find(kLabel); label != std::string::npos)
    name.erase(label, std::min(name.find_first_not_of(" \t", label + kLabel.size()), name.size()) - label);
  return name;
}

}  // namespace lockstep::comm
