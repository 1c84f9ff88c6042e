// oneDNN behind a few calls, so that what differs between its versions stays in few places.
#pragma once

#include <oneapi/dnnl/dnnl.h>
#include <oneapi/dnnl/dnnl.hpp>
#include <utility>
#include <vector>

#include "trainer/graph/graph.h"

namespace lockstep::onednn {

/// The CPU engine of the process.
const dnnl::engine& CpuEngine();

/// Whether oneDNN may use AVX-512 here.
bool HasAvx512();
/// Whether it may use AVX2 and fused multiply-adds.
bool HasAvx2();

/// Attributes of every primitive: the scratchpad is ours.
dnnl::primitive_attr UserScratchpad();

/// Memory at an address that the primitive reads or writes. Never written where it is an input.
dnnl::memory MemoryAt(const dnnl::memory::desc& description, const void* address);

/// A primitive with its arguments, ready to run any number of times. The dnnl C++ interface would build a table of
/// arguments at each run; this one holds it.
class PreparedPrimitive {
 public:
  PreparedPrimitive(dnnl::primitive primitive, std::vector<std::pair<int, dnnl::memory>> arguments);
  void Run();

 private:
  dnnl::primitive primitive_;
  dnnl::stream stream_;
  std::vector<std::pair<int, dnnl::memory>> memories_;
  std::vector<dnnl_exec_arg_t> arguments_;
};

/// A reorder whose scratchpad, if any, is the library's: for packing, which has no workspace.
PreparedPrimitive PrepareReorder(const dnnl::memory& from, const dnnl::memory& to);

/// While it lives, OpenMP teams of the calling thread have `threads` threads: primitives are made for a team's size.
class ScopedTeam {
 public:
  explicit ScopedTeam(int threads);
  ~ScopedTeam();
  ScopedTeam(const ScopedTeam&) = delete;
  ScopedTeam& operator=(const ScopedTeam&) = delete;

 private:
  int before_;
};

}  // namespace lockstep::onednn
