// Runs one op of a backend under watch: every operand lies in a buffer of its own between guards, outputs start as NaN,
// inputs must stay as they were.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "base/memory.h"
#include "tests/trainer/kernels/op_cases.h"
#include "trainer/engine/backend.h"

namespace lockstep::conformance {

/// Memory of exactly `size` bytes at `offset` past a multiple of kBufferAlignment, with a page of 0xFF (NaN, for
/// floats) before it and more behind.
class GuardedBuffer {
 public:
  GuardedBuffer() = default;
  GuardedBuffer(size_t size, size_t offset);

  std::byte* data() const { return memory_.data() + start_; }
  size_t size() const { return size_; }
  std::span<std::byte> bytes() const { return {data(), size_}; }
  bool GuardsIntact() const;

 private:
  Buffer memory_;
  size_t start_ = 0, size_ = 0;
};

/// The bytes of a tensor as a backend holds it.
void Encode(const reference::Tensor& tensor, DType dtype, std::byte* bytes);
std::vector<double> Decode(DType dtype, std::span<const std::byte> bytes);

struct Placement {
  size_t offset = 0;      ///< of each operand past a multiple of kBufferAlignment; a multiple of kValueAlignment
  bool in_place = false;  ///< output 0 takes over the memory of the input that the op table names
  int runs = 1;           ///< that the backend is told to expect on the same weights
};

class OpRunner {
 public:
  OpRunner(engine::Backend& backend, const Instance& instance, const Placement& placement);

  /// Bytes of each output; empty for those that are absent.
  std::vector<std::vector<std::byte>> Run();
  /// What went wrong so far besides the results: overruns, changed inputs.
  const std::vector<std::string>& problems() const { return problems_; }
  /// Packed copies that the op reads.
  size_t packed() const { return packed_.size(); }

 private:
  void PlaceInputs();
  void PackParameters();
  void CheckMemory();

  engine::Backend& backend_;
  const Instance& instance_;
  const Placement placement_;
  int in_place_input_ = -1;
  std::vector<GuardedBuffer> inputs_, outputs_, packed_;
  GuardedBuffer workspace_;
  engine::Operands operands_;
  std::vector<std::unique_ptr<engine::Kernel>> packers_;
  std::unique_ptr<engine::Kernel> kernel_;
  std::vector<std::string> problems_;
};

/// 4 sqrt(K) u times the magnitude of element i; `unit_roundoff` u is 2^-24 for f32, 2^-8 for bf16. Integers: 0.
double Tolerance(const reference::Tensor& expected, size_t i, DType dtype, double unit_roundoff);
/// "" where every element of `actual` is within its tolerance; else the worst one, in words.
std::string Compare(const reference::Tensor& expected, DType dtype, const std::vector<double>& actual,
                    double unit_roundoff);

}  // namespace lockstep::conformance
