// Elementwise tensor ops, each as a program (kernels/program_of.h) that is run block by block: an operand is read where
// it lies, or is first brought into the block's form, floats in the order of the result's elements, and each step is a
// loop over the block. What lies between steps stays in the first-level cache.
#include <algorithm>
#include <array>
#include <cstring>

#include "base/bfloat16.h"
#include "trainer/kernels/broadcast.h"
#include "trainer/kernels/onednn/kernel_context.h"
#include "trainer/kernels/onednn/tensor/element_steps.h"
#include "trainer/kernels/program_of.h"

namespace lockstep::onednn {
namespace {

using engine::Kernel;
using graph::OpKind;
using kernels::BroadcastWalk;
using kernels::ElementProgram;

constexpr int64_t kBlock = 512;
/// Elements below which a team is not worth waking.
constexpr int64_t kLeastPiece = 16384;

constexpr int kMemories = ElementProgram::kMaxPlaces + ElementProgram::kMaxConstants;
constexpr int kNumbers = ElementProgram::kFirstConstant + ElementProgram::kMaxConstants;

struct Source {
  const void* data = nullptr;
  DType type = DType::kF32;
  BroadcastWalk walk;
  int64_t period = 0;   ///< of elements that repeat in every block, so that one block's serve all; 0: none
  bool direct = false;  ///< read where it lies
};

/// A vector along the last dimensions, or a single number.
int64_t PeriodOf(const BroadcastWalk& walk) {
  if (walk.single()) return 1;
  return walk.rank == 2 && walk.step[0] == 1 ? walk.size[0] : 0;
}

float AsFloat(float x) { return x; }
float AsFloat(BFloat16 x) { return x.Float(); }
float AsFloat(int32_t x) { return static_cast<float>(x); }

/// Elements [begin, begin + size) of the result, as `source` has them.
template <typename T>
void Gather(const Source& source, int64_t begin, int64_t size, float* to) {
  const BroadcastWalk& walk = source.walk;
  const T* const data = static_cast<const T*>(source.data);
  std::array<int64_t, Shape::kMaxRank> at{};
  int64_t rest = begin, offset = 0;
  for (int i = 0; i < walk.rank; ++i) {
    const auto d = static_cast<size_t>(i);
    at[d] = rest % walk.size[i];
    rest /= walk.size[i];
    offset += at[d] * walk.step[i];
  }
  for (int64_t done = 0; done < size;) {
    const int64_t run = std::min(size - done, walk.size[0] - at[0]);
    for (int64_t i = 0; i < run; ++i) to[done + i] = AsFloat(data[offset + i * walk.step[0]]);
    done += run;
    offset -= at[0] * walk.step[0];
    at[0] = 0;
    for (int i = 1; i < walk.rank; ++i) {
      const auto d = static_cast<size_t>(i);
      offset += walk.step[i];
      if (++at[d] < walk.size[i]) break;
      offset -= at[d] * walk.step[i];
      at[d] = 0;
    }
  }
}

void Bring(const Source& source, int64_t begin, int64_t size, float* to) {
  if (source.type == DType::kF32) return Gather<float>(source, begin, size, to);
  if (source.type == DType::kBF16) return Gather<BFloat16>(source, begin, size, to);
  Gather<int32_t>(source, begin, size, to);
}

struct BlockRun {
  ElementProgram program;
  std::array<Source, ElementProgram::kMaxInputs> sources;
  void* y = nullptr;
  DType type = DType::kF32;
  int64_t size = 0;
  int64_t block = kBlock;  ///< elements

  int64_t blocks() const { return (size + block - 1) / block; }
  void Run(int64_t first, int64_t behind) const;

 private:
  void Store(const float* from, int64_t begin, int64_t count) const;
};

void BlockRun::Store(const float* from, int64_t begin, int64_t count) const {
  if (type == DType::kBF16) {
    auto* const to = static_cast<BFloat16*>(y) + begin;
    for (int64_t i = 0; i < count; ++i) to[i] = BFloat16::From(from[i]);
  } else {
    auto* const to = static_cast<int32_t*>(y) + begin;
    for (int64_t i = 0; i < count; ++i) to[i] = kernels::ToInteger(from[i]);
  }
}

/// Blocks [first, behind).
void BlockRun::Run(int64_t first, int64_t behind) const {
  alignas(64) std::array<std::array<float, kBlock>, kMemories> memory;  // NOLINT: what is read is written before
  std::array<const float*, kNumbers> place{};                           // by an operand's number
  for (size_t i = 0; i < ElementProgram::kMaxPlaces; ++i) place[i] = memory[i].data();
  for (int i = 0; i < program.constants; ++i) {
    auto& constant = memory[static_cast<size_t>(ElementProgram::kMaxPlaces + i)];
    constant.fill(program.constant[i]);
    place[static_cast<size_t>(ElementProgram::kFirstConstant + i)] = constant.data();
  }
  const auto inputs = static_cast<size_t>(program.inputs);
  for (size_t i = 0; i < inputs; ++i)
    if (sources[i].period > 0) Bring(sources[i], first * block, std::min(block, size), memory[i].data());

  for (int64_t at = first; at < behind; ++at) {
    const int64_t begin = at * block, count = std::min(block, size - begin);
    for (size_t i = 0; i < inputs; ++i) {
      if (sources[i].direct) {
        place[i] = static_cast<const float*>(sources[i].data) + begin;
        for (int64_t ahead = 0; ahead < count; ahead += 16) __builtin_prefetch(place[i] + block + ahead);
      } else if (sources[i].period == 0) {
        Bring(sources[i], begin, count, memory[i].data());
      }
    }
    for (int s = 0; s < program.steps; ++s) {
      const kernels::ProgramStep& step = program.step[s];
      const std::array<const float*, 3> operands = {place[step.operands[0]], place[step.operands[1]],
                                                    place[step.operands[2]]};
      const bool last = s + 1 == program.steps;
      float* const result = last && type == DType::kF32 ? static_cast<float*>(y) + begin : memory[step.result].data();
      RunStep(step, operands.data(), result, count);
      if (last && type != DType::kF32) Store(result, begin, count);
    }
  }
}

std::unique_ptr<Kernel> PrepareElementwise(const KernelContext& context) {
  BlockRun run;
  run.program = kernels::ProgramOf(context.op);
  run.y = context.Output<void>(0);
  run.type = context.OutputType(0);
  run.size = context.OutputShape(0).size();
  size_t input = 0;
  for (size_t i = 0; i < context.op.inputs.size(); ++i) {
    if (!context.HasInput(i)) continue;
    Source& source = run.sources[input++];
    source.data = context.Input<void>(i);
    source.type = context.InputType(i);
    source.walk = kernels::WalkOf(context.InputShape(i), context.OutputShape(0));
    source.direct = source.walk.contiguous() && source.type == DType::kF32;
    // The first short vector decides how long blocks are, and others of its length, or of a divisor of it, follow.
    const int64_t period = PeriodOf(source.walk);
    if (period > 0 && period <= kBlock && run.block == kBlock) run.block = kBlock / period * period;
    source.period = period > 0 && run.block % period == 0 ? period : 0;
  }
  return MakeKernel([run, threads = context.threads] {
    ForEachPiece(threads, run.blocks(), kLeastPiece / run.block,
                 [&run](int, int64_t begin, int64_t end) { run.Run(begin, end); });
  });
}

/// Integers stay what they are, also those that no float is.
std::unique_ptr<Kernel> PrepareCast(const KernelContext& context) {
  if (context.InputType(0) != context.OutputType(0)) return PrepareElementwise(context);
  return MakeKernel(
      [x = context.Input<void>(0), y = context.Output<void>(0),
       bytes = static_cast<size_t>(context.graph.value(context.op.outputs[0]).bytes())] { std::memmove(y, x, bytes); });
}

constexpr KernelRow kRows[] = {
    {.kind = OpKind::kUnary, .prepare = PrepareElementwise},
    {.kind = OpKind::kUnaryGrad, .prepare = PrepareElementwise},
    {.kind = OpKind::kBinary, .prepare = PrepareElementwise},
    {.kind = OpKind::kBinaryGrad, .prepare = PrepareElementwise},
    {.kind = OpKind::kWhere, .prepare = PrepareElementwise},
    {.kind = OpKind::kCast, .prepare = PrepareCast},
    {.kind = OpKind::kFusedElementwise, .prepare = PrepareElementwise},
};

}  // namespace

std::span<const KernelRow> TensorElementwiseRows() { return kRows; }

}  // namespace lockstep::onednn
