// LSTM and GRU forward.
#include "trainer/kernels/cuda/sequence/recurrent.h"

#include "trainer/kernels/cuda/blocks/copies.h"
#include "trainer/kernels/recurrent.h"

namespace lockstep::cuda {
namespace {

using engine::Kernel;
using engine::WorkspaceParts;
using graph::OpKind;

/// The states before the first time step: what the product reads, and what units add to.
template <typename T>
struct BeginStates {
  static constexpr int kThreads = 256;

  GivenState hidden, added;  ///< added: an LSTM's cell, a GRU's hidden state
  T* state;
  float* sums;
  int64_t size;

  template <typename Block>
  LOCKSTEP_HD void operator()(Block& block) const {
    block.ForEachThreadAlone([&](int t) {
      const int64_t i = block.index() * kThreads + t;
      if (i >= size) return;
      state[i] = FromFloat<T>(hidden.At(i));
      sums[i] = added.At(i);
    });
  }
};

template <typename T, typename Unit>
struct ForwardTimeStep {
  static constexpr int kThreads = 128;
  static constexpr bool kLstm = Unit::kGates == 4;

  RecurrentShape shape;
  const T* gates;
  const float *products, *bias;  ///< [rows, gates, hidden]; absent: nullptr
  T *y, *state;
  float *saved, *sums, *last_hidden;  ///< saved, last_hidden: absent: nullptr
  int64_t time_step;

  template <typename Block>
  LOCKSTEP_HD void operator()(Block& block) const {
    block.ForEachThreadAlone([&](int t) {
      const int64_t i = block.index() * kThreads + t;
      if (i >= shape.units()) return;
      const Quotient at = Divide(i, shape.hidden);
      const int64_t row = at.quotient, u = at.remainder;
      const bool reaches = shape.Reaches(row, time_step);
      Unit unit{};
      if (reaches) {
        float x[Unit::kGates], product[Unit::kGates];
        LOCKSTEP_UNROLL
        for (int g = 0; g < Unit::kGates; ++g) {
          x[g] = ToFloat(gates[shape.At(row, time_step, Unit::kGates, g, u)]);
          product[g] = products[(row * Unit::kGates + g) * shape.hidden + u];
          if (bias != nullptr) product[g] += bias[g * shape.hidden + u];
        }
        if constexpr (kLstm) {
          unit = kernels::LstmForward(x, product, sums[i]);
        } else {
          unit = kernels::GruForward(x, product, sums[i]);
        }
        state[i] = FromFloat<T>(unit.hidden);
        sums[i] = kLstm ? unit.saved[Unit::kSaved - 1] : unit.hidden;
        if (last_hidden != nullptr) last_hidden[i] = unit.hidden;
      }
      y[shape.At(row, time_step, 1, 0, u)] = FromFloat<T>(unit.hidden);
      if (saved == nullptr) return;
      LOCKSTEP_UNROLL
      for (int p = 0; p < Unit::kSaved; ++p) saved[shape.At(row, time_step, Unit::kSaved, p, u)] = unit.saved[p];
    });
  }
};

/// What is asked for of states: last_hidden before the first time step, which all later ones write over, and last_cell.
struct CopyState {
  static constexpr int kThreads = 256;

  GivenState from;
  float* to;
  int64_t size;

  template <typename Block>
  LOCKSTEP_HD void operator()(Block& block) const {
    block.ForEachThreadAlone([&](int t) {
      const int64_t i = block.index() * kThreads + t;
      if (i < size) to[i] = from.At(i);
    });
  }
};

void LaunchCopy(DeviceStream& stream, const CopyState& copy) {
  Launch(stream, BlocksFor(copy.size, CopyState::kThreads, 1), copy);
}

/// [rows, gates hidden] = states [rows, hidden] weight^T.
MatmulSpec ProductSpec(const OpContext& context, const RecurrentShape& s) {
  return {.m = s.rows, .n = s.gates * s.hidden, .k = s.hidden, .transpose_b = true, .ab = context.InputType(0)};
}

struct Workspace {
  void* state;
  float *sums, *products;
  std::byte* library;
  size_t bytes;

  Workspace(const OpContext& context, const RecurrentShape& s, std::byte* workspace) {
    WorkspaceParts parts(workspace);
    state = parts.Take<std::byte>(s.units() * SizeOf(context.InputType(0)));
    sums = parts.Take<float>(s.units());
    products = parts.Take<float>(s.units() * s.gates);
    library = parts.Take<std::byte>(static_cast<int64_t>(context.library.WorkspaceBytes(ProductSpec(context, s))));
    bytes = parts.bytes();
  }
};

size_t WorkspaceBytes(const OpContext& context) {
  return Workspace(context, RecurrentShape(context, false), nullptr).bytes;
}

template <typename T, typename Unit>
std::unique_ptr<Kernel> PrepareForward(const KernelContext& context) {
  constexpr bool kLstm = Unit::kGates == 4;
  RecurrentShape s(context, false);
  s.length = context.Input<int32_t>(3);
  const Workspace workspace(context, s, context.operands.workspace);
  auto* const state = static_cast<T*>(workspace.state);
  const void* const weight = context.Packed(1) != nullptr ? context.Packed(1) : context.Input<void>(1);
  const GivenState hidden(context, 4);
  const BeginStates<T> begin{hidden, kLstm ? GivenState(context, 5) : hidden, state, workspace.sums, s.units()};
  const ForwardTimeStep<T, Unit> first_step{.shape = s,
                                            .gates = context.Input<T>(0),
                                            .products = workspace.products,
                                            .bias = context.Input(2),
                                            .y = context.Output<T>(0),
                                            .state = state,
                                            .saved = context.Output(1),
                                            .sums = workspace.sums,
                                            .last_hidden = context.Output(2),
                                            .time_step = 0};
  auto product = context.library.Prepare(
      ProductSpec(context, s), {.a = state, .b = weight, .d = workspace.products, .workspace = workspace.library},
      context.stream);
  CopyState first{hidden, context.Output(2), s.units()}, last{hidden, kLstm ? context.Output(3) : nullptr, s.units()};
  last.from.data = workspace.sums, last.from.bf16 = false;
  return MakeKernel([=, product = std::move(product), stream = &context.stream] {
    Launch(*stream, BlocksFor(s.units(), begin.kThreads, 1), begin);
    if (first.to != nullptr) LaunchCopy(*stream, first);
    for (int64_t step = 0; step < s.time_steps; ++step) {
      product->Run();
      ForwardTimeStep<T, Unit> kernel = first_step;
      kernel.time_step = s.TimeStep(step);
      Launch(*stream, BlocksFor(s.units(), kernel.kThreads, 1), kernel);
    }
    if (last.to != nullptr) LaunchCopy(*stream, last);
  });
}

std::unique_ptr<Kernel> Prepare(const KernelContext& context) {
  return WithElementType(context.InputType(0), [&]<typename T>(T) {
    if (context.op.kind == OpKind::kLstm) return PrepareForward<T, kernels::LstmUnit>(context);
    return PrepareForward<T, kernels::GruUnit>(context);
  });
}

/// In bf16, products read a packed copy of the weight; in float, the arena itself.
size_t PackedBytes(const OpContext& context, size_t weight, int input) {
  if (input != static_cast<int>(weight) || context.InputType(0) != DType::kBF16) return 0;
  return static_cast<size_t>(context.InputShape(weight).size()) * sizeof(BFloat16);
}
size_t ForwardPackedBytes(const OpContext& context, int input) { return PackedBytes(context, 1, input); }
size_t GradPackedBytes(const OpContext& context, int input) { return PackedBytes(context, 3, input); }

std::unique_ptr<Kernel> PreparePack(const OpContext& context, int input, const void* plain, void* packed,
                                    DeviceStream& stream) {
  return PrepareConversion(DType::kF32, plain, DType::kBF16, packed,
                           context.InputShape(static_cast<size_t>(input)).size(), stream);
}

constexpr KernelRow kRows[] = {
    {.kind = OpKind::kLstm,
     .prepare = Prepare,
     .workspace_bytes = WorkspaceBytes,
     .packed_bytes = ForwardPackedBytes,
     .prepare_pack = PreparePack},
    {.kind = OpKind::kGru,
     .prepare = Prepare,
     .workspace_bytes = WorkspaceBytes,
     .packed_bytes = ForwardPackedBytes,
     .prepare_pack = PreparePack},
    {.kind = OpKind::kLstmGrad,
     .prepare = PrepareRecurrentGrad,
     .workspace_bytes = RecurrentGradWorkspace,
     .packed_bytes = GradPackedBytes,
     .prepare_pack = PreparePack},
    {.kind = OpKind::kGruGrad,
     .prepare = PrepareRecurrentGrad,
     .workspace_bytes = RecurrentGradWorkspace,
     .packed_bytes = GradPackedBytes,
     .prepare_pack = PreparePack},
};

}  // namespace

std::span<const KernelRow> RecurrentRows() { return kRows; }

}  // namespace lockstep::cuda
