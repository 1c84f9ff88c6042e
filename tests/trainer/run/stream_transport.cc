#include "tests/trainer/run/stream_transport.h"

#include <algorithm>
#include <string>

#include "base/emulated_device.h"
#include "base/error.h"

namespace lockstep::run {
namespace {

class StreamTransport final : public comm::DeviceTransport {
 public:
  StreamTransport(std::shared_ptr<StreamMail> mail, int rank) : mail_(std::move(mail)), rank_(rank) {}

  void Exchange(DeviceStream& stream, std::span<const Part> sends, std::span<const Part> receives,
                const std::string&) override {
    static_cast<EmulatedStream&>(stream).Enqueue([mail = mail_, rank = rank_,
                                                  out = std::vector<Part>(sends.begin(), sends.end()),
                                                  in = std::vector<Part>(receives.begin(), receives.end())] {
      for (const Part& part : out) mail->Send(rank, part.rank, {part.data, part.data + part.bytes});
      for (const Part& part : in) {
        const std::vector<std::byte> bytes = mail->Receive(part.rank, rank);
        CHECK(bytes.size() == part.bytes, "{} bytes from rank {}, {} expected", bytes.size(), part.rank, part.bytes);
        std::copy(bytes.begin(), bytes.end(), part.data);
      }
    });
  }
  bool waits() const override { return false; }
  void Poll() override {}
  void Abort() override { mail_->Abort(rank_); }
  std::string description() const override { return "threads"; }

 private:
  std::shared_ptr<StreamMail> mail_;
  const int rank_;
};

}  // namespace

void StreamMail::Send(int from, int to, std::vector<std::byte> bytes) {
  {
    std::lock_guard lock(mutex_);
    mail_[{from, to}].push_back(std::move(bytes));
  }
  changed_.notify_all();
}

std::vector<std::byte> StreamMail::Receive(int from, int to) {
  std::unique_lock lock(mutex_);
  auto& box = mail_[{from, to}];
  changed_.wait(lock, [&] { return aborted_.contains(to) || !box.empty(); });
  if (box.empty()) throw Error(ErrorKind::kPeer, "the exchange was aborted");
  std::vector<std::byte> bytes = std::move(box.front());
  box.pop_front();
  return bytes;
}

void StreamMail::Abort(int rank) {
  {
    std::lock_guard lock(mutex_);
    aborted_.insert(rank);
  }
  changed_.notify_all();
}

std::unique_ptr<comm::DeviceTransport> MakeStreamTransport(std::shared_ptr<StreamMail> mail, int rank) {
  return std::make_unique<StreamTransport>(std::move(mail), rank);
}

}  // namespace lockstep::run
