#include "comm/mpi/pending_requests.h"

#include <fmt/format.h>

#include <climits>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "base/machine/host.h"

namespace lockstep::comm {

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

void KeepForever(std::shared_ptr<void> memory) {
  static auto& kept = *new std::vector<std::shared_ptr<void>>;
  kept.push_back(std::move(memory));
}

PendingRequests::PendingRequests(const Topology& topology, std::shared_ptr<StagedCollective> staged)
    : topology_(topology), staged_(std::move(staged)) {}

PendingRequests::~PendingRequests() {
  if (!parts_.empty() && staged_ != nullptr) KeepForever(std::move(staged_));
}

bool PendingRequests::Done() {
  while (!parts_.empty()) {
    int done = 0;
    MPI_Status status;
    const int code = MPI_Test(&parts_.back().request, &done, &status);
    if (parts_.back().expected.from >= 0 && (code != MPI_SUCCESS || done)) CheckLength(code, status);
    Check(code, "MPI_Test");
    if (!done) return false;
    parts_.pop_back();
  }
  if (staged_ != nullptr && !staged_->to.empty())
    std::memcpy(staged_->to.data(), staged_->out.data(), staged_->to.size());
  staged_.reset();
  return true;
}

// MPI takes a shorter message without a word.
void PendingRequests::CheckLength(int code, const MPI_Status& status) const {
  const Expected& expected = parts_.back().expected;
  int error_class = MPI_SUCCESS, count = 0;
  MPI_Error_class(code, &error_class);
  const bool longer = error_class == MPI_ERR_TRUNCATE;
  if (!longer && code != MPI_SUCCESS) return;
  MPI_Get_count(&status, MPI_BYTE, &count);
  if (!longer && static_cast<size_t>(count) == expected.bytes) return;
  const std::string sent = longer ? fmt::format("more than {} bytes", expected.bytes) : fmt::format("{} bytes", count);
  throw Error(ErrorKind::kPeer,
              fmt::format("{} has sent {} where {} expects {}: they entered a collective with different element counts",
                          topology_.Name(expected.from), sent, topology_.Name(), expected.bytes),
              topology_.Name(), "the ranks do not run the same model, or the memory or network of one is broken");
}

}  // namespace lockstep::comm
