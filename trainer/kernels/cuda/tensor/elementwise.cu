// Elementwise tensor ops, each as a program (kernels/program_of.h) that every thread runs on four neighbours of the
// result. Values wait for the steps that read them in shared memory, each thread's in places of its own: registers
// can't be chosen by a number that the program says.
#include <type_traits>

#include "trainer/kernels/broadcast.h"
#include "trainer/kernels/cuda/blocks/fused_math.h"
#include "trainer/kernels/cuda/blocks/launch.h"
#include "trainer/kernels/cuda/blocks/packs.h"
#include "trainer/kernels/cuda/kernel_context.h"
#include "trainer/kernels/program_of.h"

namespace lockstep::cuda {
namespace {

using engine::Kernel;
using graph::OpKind;
using kernels::BroadcastWalk;
using kernels::ElementProgram;

template <graph::Activation kActivation>
struct ActivationStep {
  static constexpr int kOperands = 1;
  LOCKSTEP_HD float operator()(float x, float, float) const { return cuda::Activate<kActivation>(x); }
};
template <graph::Activation kActivation>
struct ActivationGradStep {
  static constexpr int kOperands = 2;
  LOCKSTEP_HD float operator()(float dy, float v, float) const { return cuda::ActivateGradient<kActivation>(dy, v); }
};

LOCKSTEP_HD float AsFloat(float x) { return x; }
LOCKSTEP_HD float AsFloat(BFloat16 x) { return x.Float(); }
LOCKSTEP_HD float AsFloat(int32_t x) { return static_cast<float>(x); }

constexpr int kEach = 4;

struct Source {
  const void* data;
  DType type;
  /// Four neighbours of the result, from a multiple of four on, are four neighbours of the operand, or one element.
  bool whole;
  BroadcastWalk walk;

  LOCKSTEP_HD int64_t PlaceOf(int64_t index) const {
    if (walk.contiguous()) return index;
    int64_t place = 0;
    for (int i = 0; i < walk.rank; ++i) {
      const Quotient at = Divide(index, walk.size[i]);
      place += at.remainder * walk.step[i];
      index = at.quotient;
    }
    return place;
  }

  template <typename T>
  LOCKSTEP_HD void ReadAs(int64_t begin, int64_t count, float* to) const {
    const T* const from = static_cast<const T*>(data);
    if (!whole || count < kEach) {
      LOCKSTEP_UNROLL
      for (int i = 0; i < kEach; ++i)
        if (i < count) to[i] = AsFloat(from[PlaceOf(begin + i)]);
      return;
    }
    const int64_t place = PlaceOf(begin);
    if (walk.step[0] == 0) {
      const float value = AsFloat(from[place]);
      LOCKSTEP_UNROLL
      for (int i = 0; i < kEach; ++i) to[i] = value;
      return;
    }
    const auto pack = *reinterpret_cast<const Pack<T, kEach>*>(from + place);
    LOCKSTEP_UNROLL
    for (int i = 0; i < kEach; ++i) to[i] = AsFloat(pack.at[i]);
  }

  LOCKSTEP_HD void Read(int64_t begin, int64_t count, float* to) const {
    if (type == DType::kF32) return ReadAs<float>(begin, count, to);
    if (type == DType::kBF16) return ReadAs<BFloat16>(begin, count, to);
    ReadAs<int32_t>(begin, count, to);
  }
};

/// Values of at most kPlaces places.
template <int kPlaces>
struct RunProgram {
  static constexpr int kThreads = 128;
  using Values = Pack<float, kEach>;
  struct Shared {
    Values at[kPlaces][kThreads];
  };

  ElementProgram program;
  Source sources[ElementProgram::kMaxInputs];
  void* y;
  DType type;
  int64_t size;

  template <typename T>
  LOCKSTEP_HD void WriteAs(const Values& values, int64_t begin, int64_t count) const {
    T* const to = static_cast<T*>(y) + begin;
    if (count == kEach) return StorePack<kEach>(values.at, to);
    LOCKSTEP_UNROLL
    for (int i = 0; i < kEach; ++i)
      if (i < count) to[i] = FromFloat<T>(values.at[i]);
  }

  LOCKSTEP_HD void Write(const Values& values, int64_t begin, int64_t count) const {
    if (type == DType::kF32) return WriteAs<float>(values, begin, count);
    if (type == DType::kBF16) return WriteAs<BFloat16>(values, begin, count);
    auto* const to = static_cast<int32_t*>(y) + begin;
    for (int i = 0; i < count; ++i) to[i] = kernels::ToInteger(values.at[i]);
  }

  LOCKSTEP_HD Values Operand(int number, const Shared& shared, int t) const {
    if (number < ElementProgram::kFirstConstant) return shared.at[number][t];
    const float value = program.constant[number - ElementProgram::kFirstConstant];
    return {{value, value, value, value}};
  }

  LOCKSTEP_HD Values RunStep(const kernels::ProgramStep& step, const Shared& shared, int t) const {
    Values result = {};
    kernels::WithStep<ActivationStep, ActivationGradStep>(step, [&](const auto& f) LOCKSTEP_INLINE {
      constexpr int kOperands = std::decay_t<decltype(f)>::kOperands;
      Values operands[3] = {};
      LOCKSTEP_UNROLL
      for (int k = 0; k < kOperands; ++k) operands[k] = Operand(step.operands[k], shared, t);
      LOCKSTEP_UNROLL
      for (int i = 0; i < kEach; ++i) result.at[i] = f(operands[0].at[i], operands[1].at[i], operands[2].at[i]);
    });
    return result;
  }

  template <typename Block>
  LOCKSTEP_HD void operator()(Block& block) const {
    Shared& shared = block.template SharedAs<Shared>();
    block.ForEachThreadAlone([&](int t) {
      const int64_t begin = (block.index() * kThreads + t) * kEach;
      if (begin >= size) return;
      const int64_t count = size - begin < kEach ? size - begin : kEach;
      for (int i = 0; i < program.inputs; ++i) {
        Values values{};
        sources[i].Read(begin, count, values.at);
        shared.at[i][t] = values;
      }
      for (int s = 0; s < program.steps; ++s) {
        const Values result = RunStep(program.step[s], shared, t);
        if (s + 1 == program.steps) return Write(result, begin, count);
        shared.at[program.step[s].result][t] = result;
      }
    });
  }
};

template <int kPlaces>
std::unique_ptr<Kernel> PrepareProgram(const KernelContext& context, const ElementProgram& program) {
  RunProgram<kPlaces> kernel{};
  kernel.program = program;
  kernel.y = context.Output<void>(0);
  kernel.type = context.OutputType(0);
  kernel.size = context.OutputShape(0).size();
  int input = 0;
  for (size_t i = 0; i < context.op.inputs.size(); ++i) {
    if (!context.HasInput(i)) continue;
    const BroadcastWalk walk = kernels::WalkOf(context.InputShape(i), context.OutputShape(0));
    Source& source = kernel.sources[input++];
    source.data = context.Input<void>(i);
    source.type = context.InputType(i);
    source.whole = walk.rank == 1 || walk.size[0] % kEach == 0;
    source.walk = walk;
  }
  const int64_t blocks = BlocksFor(kernel.size, kernel.kThreads, kEach);
  return MakeKernel([kernel, blocks, stream = &context.stream] { Launch(*stream, blocks, kernel); });
}

/// With six places a processor's shared memory holds as many threads as there can be.
std::unique_ptr<Kernel> PrepareElementwise(const KernelContext& context) {
  const ElementProgram program = kernels::ProgramOf(context.op);
  if (program.places <= 6) return PrepareProgram<6>(context, program);
  return PrepareProgram<ElementProgram::kMaxPlaces>(context, program);
}

/// Integers stay what they are, also those that no float is.
std::unique_ptr<Kernel> PrepareCast(const KernelContext& context) {
  if (context.InputType(0) != DType::kI32 || context.OutputType(0) != DType::kI32) return PrepareElementwise(context);
  return MakeKernel([x = context.Input<void>(0), y = context.Output<void>(0),
                     bytes = context.OutputShape(0).size() * sizeof(int32_t),
                     stream = &context.stream] { stream->Copy(y, x, bytes); });
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

}  // namespace lockstep::cuda
