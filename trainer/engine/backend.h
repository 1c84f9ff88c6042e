// What a backend offers the engine: kernels, prepared once with resolved addresses, and run again and again.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "trainer/graph/graph.h"

namespace lockstep::engine {

/// A prepared op: Run reads and writes the addresses given when it was prepared. Nothing is allocated or decided in
/// Run.
class Kernel {
 public:
  virtual ~Kernel() = default;
  virtual void Run() = 0;
};

/// The addresses of an op's operands. Absent operands are nullptr.
struct Operands {
  std::vector<const void*> inputs;
  std::vector<void*> outputs;
  /// By input: the packed copy of a parameter, where the backend asked for one; else nullptr.
  std::vector<const void*> packed;
  /// Private scratch memory, aligned to kBufferAlignment; its content does not survive the run.
  std::byte* workspace = nullptr;
  bool adds = false;  ///< the first output is added to what lies there. REQUIRES: Backend::CanAdd
};

class Backend {
 public:
  virtual ~Backend() = default;
  virtual std::string_view name() const = 0;

  /// Whether this backend has a kernel for `kind`.
  virtual bool Supports(graph::OpKind kind) const = 0;
  /// Multiples of so many bytes are where rows of products' results are to begin (passes::PadRows); 0: wherever.
  virtual int64_t RowAlignment() const { return 0; }
  /// Whether it has kernels for fused ops, and they pay (passes::FuseForDevice).
  virtual bool FusesOps() const { return false; }
  /// Bytes of scratch that the op's kernel needs.
  virtual size_t WorkspaceBytes(const graph::Graph& graph, const graph::Op& op) = 0;
  /// Bytes of the packed copy that the kernel of `op` reads instead of parameter input `input`; 0: it reads the arena.
  /// Decided by the op's kind, attributes and inputs' shapes, never by timing: ops that are alike in these share a
  /// copy. Where the kernel can read either, with equal bits, `runs` decides too: how often it runs on one copy.
  virtual size_t PackedBytes(const graph::Graph& graph, const graph::Op& op, int input, int runs) = 0;
  /// Packed copies of one parameter that have the same layout are one copy, in all programs over the same parameters.
  /// Negative: this one is not shared.
  virtual int PackedLayout(const graph::Graph&, const graph::Op&, int) { return -1; }
  /// Copies the parameter at `plain` (arena layout) to `packed`; run once per step.
  virtual std::unique_ptr<Kernel> PreparePack(const graph::Graph& graph, const graph::Op& op, int input,
                                              const void* plain, void* packed) = 0;
  /// Whether the kernel of `op` can add its first output to what lies there, with the bits that an addition behind it
  /// would give.
  virtual bool CanAdd(const graph::Graph&, const graph::Op&) { return false; }
  /// Called on the thread that will run the kernel, or one prepared alike (PrepareComputeThread).
  virtual std::unique_ptr<Kernel> Prepare(const graph::Graph& graph, const graph::Op& op, const Operands& operands) = 0;
};

}  // namespace lockstep::engine
