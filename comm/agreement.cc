#include "comm/agreement.h"

#include <fmt/format.h>

#include <algorithm>

namespace lockstep::comm {

ErrorText ToText(const Error& error) {
  ErrorText text;
  text.set_kind(error.exit_code());
  text.set_message(error.message());
  text.set_where(error.where());
  text.set_hint(error.hint());
  return text;
}

Error FromText(const ErrorText& text) {
  return Error(static_cast<ErrorKind>(text.kind()), text.message(), text.where(), text.hint());
}

bool AnyRank(comm::Communicator& comm, bool mine, const std::string& what) {
  const char said = mine ? 1 : 0;
  std::vector<char> all(static_cast<size_t>(comm.world_size()));
  comm.Wait(*comm.AllGather(std::as_bytes(std::span(&said, 1)), std::as_writable_bytes(std::span(all))), what);
  return std::any_of(all.begin(), all.end(), [](char other) { return other != 0; });
}

void Together(comm::Communicator& comm, const std::string& what, const std::function<void()>& body) {
  std::string mine;
  try {
    body();
  } catch (const Error& error) {
    mine = ToText(error).SerializeAsString();
  }
  const std::vector<std::string> all = comm::GatherStrings(comm, mine, what);
  int first = -1, failed = 0;
  for (int rank = 0; rank < comm.world_size(); ++rank) {
    if (all[static_cast<size_t>(rank)].empty()) continue;
    if (first < 0) first = rank;
    ++failed;
  }
  if (first < 0) return;
  ErrorText text;
  text.ParseFromString(all[static_cast<size_t>(first)]);
  if (comm.rank() != first) throw comm::PeerAborted(first, text.kind());
  if (failed < comm.world_size()) {
    const std::string rank =
        fmt::format("rank {} on {}", first, comm.topology().host_name_of[static_cast<size_t>(first)]);
    text.set_where(text.where().empty() ? rank : rank + ": " + text.where());
  }
  throw FromText(text);
}

}  // namespace lockstep::comm
