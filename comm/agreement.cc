#include "comm/agreement.h"

#include <algorithm>

namespace lockstep::comm {

ErrorText ToText(const Error& error) {
  ErrorText text;
  text.set_kind(static_cast<int>(error.kind()));
  text.set_message(error.message());
  text.set_where(error.where());
  text.set_hint(error.hint());
  return text;
}

Error FromText(const ErrorText& text) {
  return Error(ErrorKindFromNumber(text.kind()).value_or(ErrorKind::kInternal), text.message(), text.where(),
               text.hint());
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
  } catch (const PeerAborted&) {
    throw;
  } catch (...) {
    // Also where it is no Error: ranks that wait for this one would not learn of it.
    mine = ToText(CurrentError()).SerializeAsString();
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
  if (comm.rank() != first) throw comm::PeerAborted(first, FromText(text).exit_code());
  if (failed < comm.world_size()) {
    const std::string rank = comm.topology().Name(first);
    text.set_where(text.where().empty() ? rank : rank + ": " + text.where());
  }
  throw FromText(text);
}

}  // namespace lockstep::comm
