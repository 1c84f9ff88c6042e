// Errors that ranks must agree on: where one fails, all end, and its message appears once.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "base/error.h"
#include "comm/communicator.h"
#include "comm/error_text.pb.h"

namespace lockstep::comm {

ErrorText ToText(const Error& error);
Error FromText(const ErrorText& text);

/// Collective: runs `body` on every rank, then compares notes. Where any failed, throws on every rank: on the lowest
/// rank that failed its Error (CurrentError of what it threw, naming rank and host where others did not fail alike),
/// elsewhere comm::PeerAborted, which is not printed.
void Together(comm::Communicator& comm, const std::string& what, const std::function<void()>& body);

/// Collective: whether `mine` holds on any rank.
bool AnyRank(comm::Communicator& comm, bool mine, const std::string& what);

}  // namespace lockstep::comm
