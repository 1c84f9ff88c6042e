#include "comm/device/staged_transport.h"

#include <algorithm>
#include <map>
#include <vector>

#include "base/memory.h"

namespace lockstep::comm {
namespace {

class StagedTransport final : public DeviceTransport {
 public:
  StagedTransport(Communicator& comm, Device& device) : comm_(comm), device_(device), event_(device.MakeEvent()) {}
  /// Messages are under way where an error has ended an exchange.
  ~StagedTransport() override {
    if (pending_.empty()) return;
    pending_.clear();
    comm_.KeepUntilExit(std::shared_ptr<DeviceMemory>(std::move(sent_)));
    comm_.KeepUntilExit(std::shared_ptr<DeviceMemory>(std::move(received_)));
  }

  void Exchange(DeviceStream& stream, std::span<const Part> sends, std::span<const Part> receives,
                const std::string& what) override {
    const std::vector<std::byte*> outgoing = Place(sends, sent_), incoming = Place(receives, received_);
    for (size_t i = 0; i < sends.size(); ++i) stream.Copy(outgoing[i], sends[i].data, sends[i].bytes);
    stream.Record(*event_);
    comm_.WaitUntil([&] { return event_->Done(); }, what);

    std::map<int, int> next_tag;
    for (size_t i = 0; i < receives.size(); ++i) {
      const int from = receives[i].rank;
      pending_.push_back(comm_.Receive({incoming[i], receives[i].bytes}, from, next_tag[from]++));
    }
    next_tag.clear();
    for (size_t i = 0; i < sends.size(); ++i) {
      const int to = sends[i].rank;
      pending_.push_back(comm_.Send({outgoing[i], sends[i].bytes}, to, next_tag[to]++));
    }
    comm_.WaitUntil(
        [&] {
          while (!pending_.empty() && pending_.back()->Done()) pending_.pop_back();
          return pending_.empty();
        },
        what);

    for (size_t i = 0; i < receives.size(); ++i) stream.Copy(receives[i].data, incoming[i], receives[i].bytes);
    // The pinned memory is used again by the next exchange.
    stream.Record(*event_);
    comm_.WaitUntil([&] { return event_->Done(); }, what);
  }

  bool waits() const override { return true; }
  void Poll() override {}
  void Abort() override {}
  std::string description() const override { return "MPI through pinned memory"; }

 private:
  /// A place in `memory` for each part; the memory grows where it is too small.
  std::vector<std::byte*> Place(std::span<const Part> parts, std::unique_ptr<DeviceMemory>& memory) {
    size_t bytes = 0;
    for (const Part& part : parts) bytes += AlignUp(part.bytes, kValueAlignment);
    if (memory == nullptr || memory->size() < bytes) memory = device_.AllocatePinned(bytes);
    std::vector<std::byte*> places;
    std::byte* next = memory->data();
    for (const Part& part : parts) {
      places.push_back(next);
      next += AlignUp(part.bytes, kValueAlignment);
    }
    return places;
  }

  Communicator& comm_;
  Device& device_;
  std::unique_ptr<DeviceEvent> event_;
  std::unique_ptr<DeviceMemory> sent_, received_;
  std::vector<std::unique_ptr<Pending>> pending_;  ///< under way, from and to the two
};

}  // namespace

std::unique_ptr<DeviceTransport> MakeStagedTransport(Communicator& comm, Device& device) {
  return std::make_unique<StagedTransport>(comm, device);
}

}  // namespace lockstep::comm
