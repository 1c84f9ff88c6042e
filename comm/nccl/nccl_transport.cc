#include "comm/nccl/nccl_transport.h"

#include <fmt/format.h>
#include <nccl.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>
#include <type_traits>
#include <vector>

#include "base/cuda/cuda_device.h"
#include "base/error.h"
#include "comm/nccl/nccl_log.h"

namespace lockstep::comm {
namespace {

[[noreturn]] void Fail(ncclResult_t result, const std::string& what, ncclComm_t comm) {
  const char* last = ncclGetLastError(comm);
  throw Error(ErrorKind::kPeer,
              fmt::format("NCCL failed in {}: {}{}{}", what, ncclGetErrorString(result),
                          last != nullptr && *last ? ": " : "", last != nullptr ? last : ""),
              "", "start again; NCCL_DEBUG=WARN says more");
}

/// Has NCCL write its log into a file for as long as this lives, unless the user wants it elsewhere.
class LogCapture {
 public:
  LogCapture() {
    if (std::getenv("NCCL_DEBUG") != nullptr) return;
    path_ = (std::filesystem::temp_directory_path() / fmt::format("lockstep-nccl-{}.log", getpid())).string();
    setenv("NCCL_DEBUG", "INFO", 1);
    setenv("NCCL_DEBUG_SUBSYS", "INIT,NET,P2P", 1);
    setenv("NCCL_DEBUG_FILE", path_.c_str(), 1);
  }
  ~LogCapture() {
    std::error_code ignored;
    if (!path_.empty()) std::filesystem::remove(path_, ignored);
  }
  std::string text() const {
    std::stringstream text;
    if (!path_.empty()) text << std::ifstream(path_).rdbuf();
    return text.str();
  }

 private:
  std::string path_;
};

/// Ends what is under way.
struct AbortNccl {
  void operator()(ncclComm_t comm) const { (void)ncclCommAbort(comm); }
};

class NcclTransport final : public DeviceTransport {
 public:
  NcclTransport(Communicator& comm, Device& device) : comm_(comm) {
    const LogCapture log;
    Connect();
    MeetAll(device);
    ways_ = ReadNcclLog(log.text());
  }

  void Exchange(DeviceStream& stream, std::span<const Part> sends, std::span<const Part> receives,
                const std::string& what) override {
    cudaStream_t native = NativeStream(stream);
    Started(ncclGroupStart(), what);
    for (const Part& part : sends)
      Started(ncclSend(part.data, part.bytes, ncclInt8, part.rank, nccl_.get(), native), what);
    for (const Part& part : receives)
      Started(ncclRecv(part.data, part.bytes, ncclInt8, part.rank, nccl_.get(), native), what);
    Started(ncclGroupEnd(), what);
    // Enqueued at once, save where a connection is made first.
    if (State(what) == ncclInProgress) comm_.WaitUntil([&] { return State(what) != ncclInProgress; }, what);
  }

  bool waits() const override { return false; }
  void Poll() override { State("an exchange"); }

  void Abort() override { nccl_.reset(); }

  std::string description() const override {
    const std::string ways = ways_.ToString();
    return ways.empty() ? NcclVersion() : fmt::format("{}: {}", NcclVersion(), ways);
  }
  std::string network() const override { return ways_.network; }

 private:
  void Connect() {
    ncclUniqueId id = {};
    if (comm_.rank() == 0) Started(ncclGetUniqueId(&id), "the preparation of connections");
    comm_.Wait(*comm_.Broadcast(std::as_writable_bytes(std::span(&id, 1)), 0), "NCCL's identity");
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    config.blocking = 0;
    const std::string what = "the connection of devices";
    ncclComm_t made = nullptr;
    const ncclResult_t result = ncclCommInitRankConfig(&made, comm_.world_size(), id, comm_.rank(), &config);
    nccl_.reset(made);
    Started(result, what);
    comm_.WaitUntil([&] { return State(what) != ncclInProgress; }, what);
  }

  /// A few bytes to everyone: connections are made now, and what hinders them shows now.
  void MeetAll(Device& device) {
    constexpr size_t kBytes = 256;
    const auto world = static_cast<size_t>(comm_.world_size());
    const std::unique_ptr<DeviceMemory> memory = device.Allocate(2 * kBytes * world, "first messages");
    const std::unique_ptr<DeviceStream> stream = device.MakeStream();
    const std::unique_ptr<DeviceEvent> done = device.MakeEvent();
    std::vector<Part> sends, receives;
    for (size_t rank = 0; rank < world; ++rank) {
      if (static_cast<int>(rank) == comm_.rank()) continue;
      sends.push_back({static_cast<int>(rank), memory->data() + kBytes * rank, kBytes});
      receives.push_back({static_cast<int>(rank), memory->data() + kBytes * (world + rank), kBytes});
    }
    const std::string what = "the first messages between devices";
    Exchange(*stream, sends, receives, what);
    stream->Record(*done);
    comm_.WaitUntil(
        [&] {
          Poll();
          return done->Done();
        },
        what);
  }

  void Started(ncclResult_t result, const std::string& what) {
    if (result != ncclSuccess && result != ncclInProgress) Fail(result, what, nccl_.get());
  }

  /// ncclSuccess or ncclInProgress.
  ncclResult_t State(const std::string& what) {
    ncclResult_t state = ncclSuccess;
    if (nccl_ == nullptr) return state;
    Started(ncclCommGetAsyncError(nccl_.get(), &state), what);
    Started(state, what);
    return state;
  }

  Communicator& comm_;
  /// Ends with this also where the constructor throws.
  std::unique_ptr<std::remove_pointer_t<ncclComm_t>, AbortNccl> nccl_;
  NcclWays ways_;
};

}  // namespace

std::unique_ptr<DeviceTransport> MakeNcclTransport(Communicator& comm, Device& device) {
  return std::make_unique<NcclTransport>(comm, device);
}

std::string NcclVersion() {
  int version = 0;
  if (ncclGetVersion(&version) != ncclSuccess) return "NCCL";
  return fmt::format("NCCL {}.{}.{}", version / 10000, version % 10000 / 100, version % 100);
}

}  // namespace lockstep::comm
