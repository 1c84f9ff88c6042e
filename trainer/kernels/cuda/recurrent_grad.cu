// LSTM and GRU backward, from the last place gone through to the first. The weight's gradient is one product over all
// places, behind them.
#include <algorithm>

#include "trainer/kernels/cuda/column_sums.h"
#include "trainer/kernels/cuda/recurrent.h"
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
struct BackwardPlace {
  static constexpr int kThreads = 128;
  static constexpr bool kLstm = Unit::kGates == 4;

  RecurrentShape shape;
  const T *dy, *y;
  const float* saved;
  GivenState first;       ///< what stands before the first place: an LSTM's cell, a GRU's state
  T *dgates, *dproducts;  ///< [rows, places, gates, hidden]; dproducts: a GRU's, where its weight's gradient reads them
  T* here;                ///< [rows, gates, hidden]: of this place's products with the state
  const float* products;  ///< [rows, hidden]: what came back through the product of the place behind
  float* sums;            ///< [rows, hidden]: an LSTM's cell's gradient; what goes on to a GRU's state besides products
  int64_t place;

  template <typename Block>
  LOCKSTEP_HD void operator()(Block& block) const {
    block.ForEachThreadAlone([&](int t) {
      const int64_t i = block.index() * kThreads + t;
      if (i >= shape.units()) return;
      const Quotient at = Divide(i, shape.hidden);
      const int64_t row = at.quotient, u = at.remainder;
      float gates[Unit::kGates] = {}, state[Unit::kGates] = {};
      if (shape.Reaches(row, place)) Flow(row, u, i, gates, state);
      LOCKSTEP_UNROLL
      for (int g = 0; g < Unit::kGates; ++g) {
        const int64_t to = shape.At(row, place, Unit::kGates, g, u);
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
    const int64_t before_place = shape.Before(row, place);
    float kept[Unit::kSaved], before;
    LOCKSTEP_UNROLL
    for (int p = 0; p < Unit::kSaved; ++p) kept[p] = saved[shape.At(row, place, Unit::kSaved, p, u)];
    if (before_place < 0) {
      before = first.At(i);
    } else if constexpr (kLstm) {
      before = saved[shape.At(row, before_place, Unit::kSaved, Unit::kSaved - 1, u)];
    } else {
      before = ToFloat(y[shape.At(row, before_place, 1, 0, u)]);
    }
    const float dhidden = ToFloat(dy[shape.At(row, place, 1, 0, u)]) + products[i];
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

/// What stands before each place: y of the place before, the first state, or zeros.
template <typename T>
struct ShiftStates {
  static constexpr int kThreads = 256;

  RecurrentShape shape;
  const T* y;
  GivenState hidden;
  T* to;  ///< [rows, places, hidden]

  LOCKSTEP_HD int64_t size() const { return shape.rows * shape.places * shape.hidden; }
  template <typename Block>
  LOCKSTEP_HD void operator()(Block& block) const {
    block.ForEachThreadAlone([&](int t) {
      const int64_t i = block.index() * kThreads + t;
      if (i >= size()) return;
      const Quotient sequence = Divide(i, shape.hidden), place = Divide(sequence.quotient, shape.places);
      const int64_t row = place.quotient, u = sequence.remainder, before = shape.Before(row, place.remainder);
      T state = FromFloat<T>(0.0f);
      if (shape.Reaches(row, place.remainder)) {
        state = before >= 0 ? y[shape.At(row, before, 1, 0, u)] : FromFloat<T>(hidden.At(row * shape.hidden + u));
      }
      to[i] = state;
    });
  }
};

/// [rows, hidden] = this place's [rows, gates hidden] weight.
MatmulSpec StateSpec(const OpContext& context, const RecurrentShape& s) {
  return {.m = s.rows, .n = s.hidden, .k = s.gates * s.hidden, .ab = context.InputType(0)};
}
/// [gates hidden, hidden] = all places' [rows places, gates hidden]^T and the states before them.
MatmulSpec WeightSpec(const OpContext& context, const RecurrentShape& s) {
  return {
      .m = s.gates * s.hidden, .n = s.hidden, .k = s.rows * s.places, .transpose_a = true, .ab = context.InputType(0)};
}

struct Workspace {
  void *here, *dproducts, *before;
  float *products, *sums;
  std::byte* library;  ///< and for sums of columns: one after the other
  size_t bytes;

  Workspace(const OpContext& context, const RecurrentShape& s, std::byte* workspace) {
    const DType type = context.InputType(0);
    const int64_t all = s.units() * s.places;
    WorkspaceParts parts(workspace);
    here = parts.Take<std::byte>(s.units() * s.gates * SizeOf(type));
    dproducts = parts.Take<std::byte>(s.gates == 3 ? all * s.gates * SizeOf(type) : 0);
    before = parts.Take<std::byte>(context.HasOutput(1) ? all * SizeOf(type) : 0);
    products = parts.Take<float>(s.units());
    sums = parts.Take<float>(s.units());
    size_t most = context.library.WorkspaceBytes(StateSpec(context, s));
    if (context.HasOutput(1)) most = std::max(most, context.library.WorkspaceBytes(WeightSpec(context, s)));
    if (context.HasOutput(2)) most = std::max(most, ColumnSumsWorkspace(type, s.rows * s.places, s.gates * s.hidden));
    library = parts.Take<std::byte>(static_cast<int64_t>(most));
    bytes = parts.bytes();
  }
};

template <typename T, typename Unit>
std::unique_ptr<Kernel> Prepare(const KernelContext& context) {
  constexpr bool kLstm = Unit::kGates == 4;
  RecurrentShape s(context, true);
  s.length = context.Input<int32_t>(4);
  const Workspace workspace(context, s, context.operands.workspace);
  const void* const weight = context.Packed(3) != nullptr ? context.Packed(3) : context.Input<void>(3);
  const GivenState hidden(context, 5);
  T* const dproducts = kLstm ? context.Output<T>(0) : static_cast<T*>(workspace.dproducts);
  const BackwardPlace<T, Unit> places{.shape = s,
                                      .dy = context.Input<T>(0),
                                      .y = context.Input<T>(1),
                                      .saved = context.Input(2),
                                      .first = kLstm ? GivenState(context, 6) : hidden,
                                      .dgates = context.Output<T>(0),
                                      .dproducts = dproducts,
                                      .here = static_cast<T*>(workspace.here),
                                      .products = workspace.products,
                                      .sums = workspace.sums,
                                      .place = 0};
  const ZeroStates zero{workspace.products, workspace.sums, s.units()};
  const ShiftStates<T> shift{s, context.Input<T>(1), hidden, static_cast<T*>(workspace.before)};
  DeviceStream& stream = context.stream;
  auto product = context.library.Prepare(
      StateSpec(context, s),
      {.a = workspace.here, .b = weight, .d = workspace.products, .workspace = workspace.library}, stream);
  std::unique_ptr<Kernel> weight_product, bias_sums;
  if (context.HasOutput(1)) {
    weight_product = context.library.Prepare(
        WeightSpec(context, s),
        {.a = dproducts, .b = workspace.before, .d = context.Output(1), .workspace = workspace.library}, stream);
  }
  if (context.HasOutput(2)) {
    bias_sums = PrepareColumnSums(context.InputType(0), dproducts, s.rows * s.places, s.gates * s.hidden,
                                  context.Output(2), workspace.library, stream);
  }
  return MakeKernel([=, product = std::move(product), weight_product = std::move(weight_product),
                     bias_sums = std::move(bias_sums), stream = &stream] {
    Launch(*stream, BlocksFor(s.units(), zero.kThreads, 1), zero);
    for (int64_t step = s.places; step-- > 0;) {
      BackwardPlace<T, Unit> place = places;
      place.place = s.Place(step);
      Launch(*stream, BlocksFor(s.units(), place.kThreads, 1), place);
      if (step > 0) product->Run();  // nobody asks for the gradient of the states before the first place
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
