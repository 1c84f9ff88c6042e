// LSTM and GRU backward, from the last time step gone through to the first. The weight's gradient is one product over
// all time steps, behind them.
#include <algorithm>

#include "trainer/kernels/cuda/blocks/column_sums.h"
#include "trainer/kernels/cuda/sequence/recurrent.h"
#include "trainer/kernels/recurrent.h"

namespace lockstep::cuda {
namespace {

using engine::Kernel;
using engine::WorkspaceParts;
using graph::OpKind;

struct ZeroStates {
  static constexpr int kThreads = 256;

  float *products, *sums;
  int64_t size;

  template <typename Block>
  LOCKSTEP_HD void operator()(Block& block) const {
    block.ForEachThreadAlone([&](int t) {
      const int64_t i = block.index() * kThreads + t;
      if (i < size) products[i] = sums[i] = 0.0f;
    });
  }
};

template <typename T, typename Unit>
struct BackwardTimeStep {
  static constexpr int kThreads = 128;
  static constexpr bool kLstm = Unit::kGates == 4;

  RecurrentShape shape;
  const T *dy, *y;
  const float* saved;
  GivenState first;  ///< what stands before the first time step: an LSTM's cell, a GRU's state
  T *dgates,
      *dproducts;  ///< [rows, time steps, gates, hidden]; dproducts: a GRU's, where its weight's gradient reads them
  T* here;         ///< [rows, gates, hidden]: of this time step's products with the state
  const float* products;  ///< [rows, hidden]: what came back through the product of the time step behind
  float* sums;            ///< [rows, hidden]: an LSTM's cell's gradient; what goes on to a GRU's state besides products
  int64_t time_step;

  template <typename Block>
  LOCKSTEP_HD void operator()(Block& block) const {
    block.ForEachThreadAlone([&](int t) {
      const int64_t i = block.index() * kThreads + t;
      if (i >= shape.units()) return;
      const Quotient at = Divide(i, shape.hidden);
      const int64_t row = at.quotient, u = at.remainder;
      float gates[Unit::kGates] = {}, state[Unit::kGates] = {};
      if (shape.Reaches(row, time_step)) Flow(row, u, i, gates, state);
      LOCKSTEP_UNROLL
      for (int g = 0; g < Unit::kGates; ++g) {
        const int64_t to = shape.At(row, time_step, Unit::kGates, g, u);
        dgates[to] = FromFloat<T>(gates[g]);
        const T product = FromFloat<T>(kLstm ? gates[g] : state[g]);
        if constexpr (!kLstm) dproducts[to] = product;
        here[(row * Unit::kGates + g) * shape.hidden + u] = product;
      }
    });
  }

 private:
  LOCKSTEP_HD void Flow(int64_t row, int64_t u, int64_t i, float (&gates)[Unit::kGates],
                        float (&state)[Unit::kGates]) const {
    const int64_t before_time_step = shape.Before(row, time_step);
    float kept[Unit::kSaved], before;
    LOCKSTEP_UNROLL
    for (int p = 0; p < Unit::kSaved; ++p) kept[p] = saved[shape.At(row, time_step, Unit::kSaved, p, u)];
    if (before_time_step < 0) {
      before = first.At(i);
    } else if constexpr (kLstm) {
      before = saved[shape.At(row, before_time_step, Unit::kSaved, Unit::kSaved - 1, u)];
    } else {
      before = ToFloat(y[shape.At(row, before_time_step, 1, 0, u)]);
    }
    const float dhidden = ToFloat(dy[shape.At(row, time_step, 1, 0, u)]) + products[i];
    if constexpr (kLstm) {
      const kernels::LstmUnitGradient gradient = kernels::LstmBackward(dhidden, sums[i], kept, before);
      LOCKSTEP_UNROLL
      for (int g = 0; g < Unit::kGates; ++g) gates[g] = gradient.gates[g];
      sums[i] = gradient.cell;
    } else {
      const kernels::GruUnitGradient gradient = kernels::GruBackward(dhidden + sums[i], kept, before);
      LOCKSTEP_UNROLL
      for (int g = 0; g < Unit::kGates; ++g) gates[g] = gradient.gates[g], state[g] = gradient.state[g];
      sums[i] = gradient.hidden;
    }
  }
};

/// What stands before each time step: y of the time step before, the first state, or zeros.
template <typename T>
struct ShiftStates {
  static constexpr int kThreads = 256;

  RecurrentShape shape;
  const T* y;
  GivenState hidden;
  T* to;  ///< [rows, time steps, hidden]

  LOCKSTEP_HD int64_t size() const { return shape.rows * shape.time_steps * shape.hidden; }
  template <typename Block>
  LOCKSTEP_HD void operator()(Block& block) const {
    block.ForEachThreadAlone([&](int t) {
      const int64_t i = block.index() * kThreads + t;
      if (i >= size()) return;
      const Quotient sequence = Divide(i, shape.hidden), time_step = Divide(sequence.quotient, shape.time_steps);
      const int64_t row = time_step.quotient, u = sequence.remainder, before = shape.Before(row, time_step.remainder);
      T state = FromFloat<T>(0.0f);
      if (shape.Reaches(row, time_step.remainder)) {
        state = before >= 0 ? y[shape.At(row, before, 1, 0, u)] : FromFloat<T>(hidden.At(row * shape.hidden + u));
      }
      to[i] = state;
    });
  }
};

/// [rows, hidden] = this time step's [rows, gates hidden] weight.
MatmulSpec StateSpec(const OpContext& context, const RecurrentShape& s) {
  return {.m = s.rows, .n = s.hidden, .k = s.gates * s.hidden, .ab = context.InputType(0)};
}
/// [gates hidden, hidden] = all time steps' [rows time steps, gates hidden]^T and the states before them.
MatmulSpec WeightSpec(const OpContext& context, const RecurrentShape& s) {
  return {.m = s.gates * s.hidden,
          .n = s.hidden,
          .k = s.rows * s.time_steps,
          .transpose_a = true,
          .ab = context.InputType(0)};
}

struct Workspace {
  void *here, *dproducts, *before;
  float *products, *sums;
  std::byte* library;  ///< and for sums of columns: one after the other
  size_t bytes;

  Workspace(const OpContext& context, const RecurrentShape& s, std::byte* workspace) {
    const DType type = context.InputType(0);
    const int64_t all = s.units() * s.time_steps;
    WorkspaceParts parts(workspace);
    here = parts.Take<std::byte>(s.units() * s.gates * SizeOf(type));
    dproducts = parts.Take<std::byte>(s.gates == 3 ? all * s.gates * SizeOf(type) : 0);
    before = parts.Take<std::byte>(context.HasOutput(1) ? all * SizeOf(type) : 0);
    products = parts.Take<float>(s.units());
    sums = parts.Take<float>(s.units());
    size_t most = context.library.WorkspaceBytes(StateSpec(context, s));
    if (context.HasOutput(1)) most = std::max(most, context.library.WorkspaceBytes(WeightSpec(context, s)));
    if (context.HasOutput(2))
      most = std::max(most, ColumnSumsWorkspace(type, s.rows * s.time_steps, s.gates * s.hidden));
    library = parts.Take<std::byte>(static_cast<int64_t>(most));
    bytes = parts.bytes();
  }
};

/// The products of all time steps' gradients with the states before them; nullptr where nobody wants the result.
std::unique_ptr<Kernel> PrepareWeightGrad(const KernelContext& context, const RecurrentShape& s,
                                          const Workspace& workspace, const void* dproducts) {
  if (!context.HasOutput(1)) return nullptr;
  return context.library.Prepare(
      WeightSpec(context, s),
      {.a = dproducts, .b = workspace.before, .d = context.Output(1), .workspace = workspace.library}, context.stream);
}

std::unique_ptr<Kernel> PrepareBiasGrad(const KernelContext& context, const RecurrentShape& s,
                                        const Workspace& workspace, const void* dproducts) {
  if (!context.HasOutput(2)) return nullptr;
  return PrepareColumnSums(context.InputType(0), dproducts, s.rows * s.time_steps, s.gates * s.hidden,
                           context.Output(2), workspace.library, context.stream);
}

template <typename T, typename Unit>
std::unique_ptr<Kernel> Prepare(const KernelContext& context) {
  constexpr bool kLstm = Unit::kGates == 4;
  RecurrentShape s(context, true);
  s.length = context.Input<int32_t>(4);
  const Workspace workspace(context, s, context.operands.workspace);
  const void* const weight = context.Packed(3) != nullptr ? context.Packed(3) : context.Input<void>(3);
  const GivenState hidden(context, 5);
  T* const dproducts = kLstm ? context.Output<T>(0) : static_cast<T*>(workspace.dproducts);
  const BackwardTimeStep<T, Unit> first_step{.shape = s,
                                             .dy = context.Input<T>(0),
                                             .y = context.Input<T>(1),
                                             .saved = context.Input(2),
                                             .first = kLstm ? GivenState(context, 6) : hidden,
                                             .dgates = context.Output<T>(0),
                                             .dproducts = dproducts,
                                             .here = static_cast<T*>(workspace.here),
                                             .products = workspace.products,
                                             .sums = workspace.sums,
                                             .time_step = 0};
  const ZeroStates zero{workspace.products, workspace.sums, s.units()};
  const ShiftStates<T> shift{s, context.Input<T>(1), hidden, static_cast<T*>(workspace.before)};
  auto product = context.library.Prepare(
      StateSpec(context, s),
      {.a = workspace.here, .b = weight, .d = workspace.products, .workspace = workspace.library}, context.stream);
  return MakeKernel([=, product = std::move(product),
                     weight_product = PrepareWeightGrad(context, s, workspace, dproducts),
                     bias_sums = PrepareBiasGrad(context, s, workspace, dproducts), stream = &context.stream] {
    Launch(*stream, BlocksFor(s.units(), zero.kThreads, 1), zero);
    for (int64_t step = s.time_steps; step-- > 0;) {
      BackwardTimeStep<T, Unit> kernel = first_step;
      kernel.time_step = s.TimeStep(step);
      Launch(*stream, BlocksFor(s.units(), kernel.kThreads, 1), kernel);
      if (step > 0) product->Run();  // nobody asks for the gradient of the states before the first time step
    }
    if (weight_product != nullptr) {
      Launch(*stream, BlocksFor(shift.size(), shift.kThreads, 1), shift);
      weight_product->Run();
    }
    if (bias_sums != nullptr) bias_sums->Run();
  });
}

}  // namespace

size_t RecurrentGradWorkspace(const OpContext& context) {
  return Workspace(context, RecurrentShape(context, true), nullptr).bytes;
}

std::unique_ptr<Kernel> PrepareRecurrentGrad(const KernelContext& context) {
  return WithElementType(context.InputType(0), [&]<typename T>(T) {
    if (context.op.kind == OpKind::kLstmGrad) return Prepare<T, kernels::LstmUnit>(context);
    return Prepare<T, kernels::GruUnit>(context);
  });
}

}  // namespace lockstep::cuda
