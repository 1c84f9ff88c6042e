// MPI requests under way, and the memory that MPI reads and writes until they are done.
#pragma once

#include <mpi.h>

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "comm/topology.h"
#include "comm/transport.h"

namespace lockstep::comm {

/// Throws Error(kPeer) with MPI's words, unless `code` is MPI_SUCCESS. `call` is the function's name.
void Check(int code, const char* call);

/// As MPI counts bytes. REQUIRES: bytes <= INT_MAX.
int Count(size_t bytes);

/// Memory for as long as the process lives: what MPI may still read or write when nobody waits for it any more.
void KeepForever(std::shared_ptr<void> memory);

/// What a collective reads and writes. It is no memory of the caller's, who may be gone before the collective is done:
/// MPI can't take one back.
struct StagedCollective {
  std::vector<std::byte> in, out;
  std::span<std::byte> to;  ///< the caller's, for `out`; may be empty
};

/// A message from `from` whose length the receiver knows.
struct Expected {
  int from = -1;
  size_t bytes = 0;
};

/// One that is destroyed before it is done (an error ends the rank) is left to MPI, with what it has staged; memory of
/// messages is the caller's to keep (KeepUntilExit).
class PendingRequests : public Pending {
 public:
  explicit PendingRequests(const Topology& topology, std::shared_ptr<StagedCollective> staged = nullptr);
  ~PendingRequests() override;
  void Add(MPI_Request request, Expected expected = {}) { parts_.push_back({request, expected}); }

  /// Throws Error(kPeer) where a message has another length than is expected.
  bool Done() override;

 private:
  struct Part {
    MPI_Request request;
    Expected expected;
  };

  void CheckLength(int code, const MPI_Status& status) const;

  const Topology& topology_;
  std::shared_ptr<StagedCollective> staged_;
  std::vector<Part> parts_;
};

}  // namespace lockstep::comm
