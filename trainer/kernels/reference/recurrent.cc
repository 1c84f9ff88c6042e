// LSTM and GRU, time step by time step.
//
// What a state is wrong by goes on from time step to time step: a sum has the magnitude of its terms, and of what its
// terms are wrong by besides, whose squares add up since they are independent. Through a product and an activation it
// comes with the slope. K is the length of the sums.
#include <algorithm>
#include <cmath>
#include <functional>

#include "trainer/kernels/reference/ops.h"

namespace lockstep::reference {
namespace {

using graph::OpKind;

Sum operator+(const Sum& a, const Sum& b) { return {a.value + b.value, a.magnitude + b.magnitude}; }
Sum operator*(const Sum& a, const Sum& b) {
  return {a.value * b.value, std::abs(a.value) * b.magnitude + a.magnitude * std::abs(b.value)};
}
Sum Exact(double value) { return {value, std::abs(value)}; }
Sum OneMinus(const Sum& a) { return {1 - a.value, 1 + a.magnitude}; }
Sum Sigmoid(const Sum& z) {
  const double s = 1 / (1 + std::exp(-z.value));
  return {s, s + s * (1 - s) * z.magnitude};
}
Sum Tanh(const Sum& z) {
  const double t = std::tanh(z.value);
  return {t, std::abs(t) + (1 - t * t) * z.magnitude};
}
/// a (1 - a) and (1 - a)(1 + a), of what is exact.
Sum SigmoidSlope(double a) { return Exact(a * (1 - a)); }
Sum TanhSlope(double a) { return Exact((1 - a) * (1 + a)); }

/// The sum over i < size of weight(i) v[i].
template <typename F>
Sum Product(const std::vector<Sum>& v, F weight) {
  Sum sum;
  double squares = 0;
  for (size_t i = 0; i < v.size(); ++i) {
    const double w = weight(i), inherited = w * (v[i].magnitude - std::abs(v[i].value));
    sum.Add(w * v[i].value);
    squares += inherited * inherited;
  }
  sum.magnitude += std::sqrt(squares);
  return sum;
}

/// The operands' shapes, and the order of time steps.
struct View {
  size_t rows, time_steps, hidden;
  bool reverse;
  const Tensor* length;

  View(const Call& call, const Tensor& sequence, size_t weight_input, size_t length_input)
      : rows(static_cast<size_t>(sequence.shape[0])),
        time_steps(static_cast<size_t>(sequence.shape[1])),
        hidden(static_cast<size_t>(call.in(weight_input).shape[1])),
        reverse(call.op.as<graph::RecurrentAttributes>().reverse),
        length(call.Has(length_input) ? &call.in(length_input) : nullptr) {}

  size_t Length(size_t row) const {
    if (length == nullptr) return time_steps;
    return static_cast<size_t>(std::clamp(length->data[row], 0.0, static_cast<double>(time_steps)));
  }
  /// The time step of step `step`, of Length(row) steps.
  size_t TimeStep(size_t row, size_t step) const { return reverse ? Length(row) - 1 - step : step; }
  Shape States() const { return {static_cast<int64_t>(rows), static_cast<int64_t>(hidden)}; }
  Shape Sequence(size_t parts) const {
    return {static_cast<int64_t>(rows), static_cast<int64_t>(time_steps), static_cast<int64_t>(parts * hidden)};
  }
  /// Of a tensor [rows, time steps, parts * hidden].
  size_t At(size_t row, size_t time_step, size_t parts, size_t part, size_t unit) const {
    return ((row * time_steps + time_step) * parts + part) * hidden + unit;
  }
  std::vector<Sum> First(const Call& call, size_t input, size_t row) const {
    std::vector<Sum> state(hidden);
    for (size_t u = 0; u < hidden && call.Has(input); ++u) {
      state[u] = Exact(call.in(input).data[row * hidden + u]);
    }
    return state;
  }
};

/// The new states of a unit, and what is saved.
struct Cell {
  Sum hidden, cell;
  std::vector<Sum> saved;
};
/// What an op does at one unit: gates of x, products with the state (bias included), and the states before.
using CellFunction = std::function<Cell(const std::vector<Sum>&, const std::vector<Sum>&, const Sum&, const Sum&)>;

std::vector<Tensor> Forward(const Call& call, size_t gates, size_t parts, const CellFunction& function) {
  const Tensor &x = call.in(0), &weight = call.in(1);
  const View view(call, x, 1, 3);
  const auto terms = static_cast<int64_t>(view.hidden) + 2;
  Tensor y = Zeros(view.Sequence(1), terms), saved = Zeros(view.Sequence(parts), terms);
  Tensor last_hidden = Zeros(view.States(), terms), last_cell = Zeros(view.States(), terms);
  for (size_t row = 0; row < view.rows; ++row) {
    std::vector<Sum> hidden = view.First(call, 4, row), cell = view.First(call, 5, row);
    for (size_t step = 0; step < view.Length(row); ++step) {
      const size_t time_step = view.TimeStep(row, step);
      const std::vector<Sum> before = hidden;
      for (size_t u = 0; u < view.hidden; ++u) {
        std::vector<Sum> of_x, of_state;
        for (size_t g = 0; g < gates; ++g) {
          const size_t at = g * view.hidden + u;
          of_x.push_back(Exact(x.data[view.At(row, time_step, gates, g, u)]));
          const Sum product = Product(before, [&](size_t k) { return weight.data[at * view.hidden + k]; });
          of_state.push_back(product + Exact(call.Has(2) ? call.in(2).data[at] : 0));
        }
        const Cell result = function(of_x, of_state, before[u], cell[u]);
        hidden[u] = result.hidden;
        cell[u] = result.cell;
        Store(y, view.At(row, time_step, 1, 0, u), result.hidden);
        for (size_t p = 0; p < parts; ++p) Store(saved, view.At(row, time_step, parts, p, u), result.saved[p]);
      }
    }
    const bool moved = view.Length(row) > 0;  // else states are copies: exact
    for (size_t u = 0; u < view.hidden; ++u) {
      Store(last_hidden, row * view.hidden + u, moved ? hidden[u] : Sum{hidden[u].value, 0});
      Store(last_cell, row * view.hidden + u, moved ? cell[u] : Sum{cell[u].value, 0});
    }
  }
  return {y, saved, last_hidden, last_cell};
}

/// What the gradient at one unit gives: of the gates, of the products with the state (bias included), and what goes on
/// to the states before besides through the product.
struct CellGradient {
  std::vector<Sum> gates, products;
  Sum hidden, cell;
};
/// From the gradients of the unit's states, what was saved, and the states before.
using GradientFunction =
    std::function<CellGradient(const Sum&, const Sum&, const std::vector<double>&, double hidden, double cell)>;

std::vector<Tensor> Backward(const Call& call, size_t gates, size_t parts, const GradientFunction& function) {
  const Tensor &dy = call.in(0), &y = call.in(1), &saved = call.in(2), &weight = call.in(3);
  const View view(call, dy, 3, 4);
  const int64_t terms = static_cast<int64_t>(gates * view.hidden) + 1, all = dy.shape[0] * dy.shape[1];
  Tensor dgates = Zeros(view.Sequence(gates), terms);
  Tensor dweight = Zeros(weight.shape, all + terms), dbias = Zeros({weight.shape[0]}, all + terms);
  const bool has_cell = parts > gates && call.op.kind == graph::OpKind::kLstmGrad;
  for (size_t row = 0; row < view.rows; ++row) {
    const std::vector<Sum> first = view.First(call, 5, row), first_cell = view.First(call, 6, row);
    std::vector<Sum> dhidden(view.hidden), dcell(view.hidden);
    for (size_t step = view.Length(row); step-- > 0;) {
      const size_t time_step = view.TimeStep(row, step);
      std::vector<double> before(view.hidden);
      std::vector<Sum> products(gates * view.hidden);
      for (size_t u = 0; u < view.hidden; ++u) {
        const size_t previous = step > 0 ? view.TimeStep(row, step - 1) : 0;
        before[u] = step > 0 ? y.data[view.At(row, previous, 1, 0, u)] : first[u].value;
        double cell = first_cell[u].value;
        if (has_cell && step > 0) cell = saved.data[view.At(row, previous, parts, parts - 1, u)];
        std::vector<double> kept;
        for (size_t p = 0; p < parts; ++p) kept.push_back(saved.data[view.At(row, time_step, parts, p, u)]);
        const Sum dh = dhidden[u] + Exact(dy.data[view.At(row, time_step, 1, 0, u)]);
        const CellGradient result = function(dh, dcell[u], kept, before[u], cell);
        for (size_t g = 0; g < gates; ++g) {
          Store(dgates, view.At(row, time_step, gates, g, u), result.gates[g]);
          products[g * view.hidden + u] = result.products[g];
        }
        dhidden[u] = result.hidden;
        dcell[u] = result.cell;
      }
      for (size_t j = 0; j < products.size(); ++j) {
        dbias.data[j] += products[j].value, dbias.magnitude[j] += products[j].magnitude;
        for (size_t k = 0; k < view.hidden; ++k) {
          const Sum term = products[j] * before[k];
          dweight.data[j * view.hidden + k] += term.value;
          dweight.magnitude[j * view.hidden + k] += term.magnitude;
        }
      }
      for (size_t k = 0; k < view.hidden; ++k) {
        dhidden[k] = dhidden[k] + Product(products, [&](size_t j) { return weight.data[j * view.hidden + k]; });
      }
    }
  }
  return {dgates, dweight, dbias};
}

std::vector<Tensor> Lstm(const Call& call) {
  return Forward(call, 4, 5,
                 [](const std::vector<Sum>& x, const std::vector<Sum>& state, const Sum&, const Sum& before) -> Cell {
                   const Sum i = Sigmoid(x[0] + state[0]), f = Sigmoid(x[1] + state[1]), g = Tanh(x[2] + state[2]),
                             o = Sigmoid(x[3] + state[3]);
                   const Sum cell = f * before + i * g;
                   return {o * Tanh(cell), cell, {i, f, g, o, cell}};
                 });
}

std::vector<Tensor> LstmGrad(const Call& call) {
  return Backward(call, 4, 5,
                  [](const Sum& dh, const Sum& dcell, const std::vector<double>& saved, double, double before) {
                    const double i = saved[0], f = saved[1], g = saved[2], o = saved[3], t = std::tanh(saved[4]);
                    const Sum dc = dcell + dh * Exact(o) * TanhSlope(t);
                    const std::vector<Sum> dz = {dc * Exact(g) * SigmoidSlope(i), dc * Exact(before) * SigmoidSlope(f),
                                                 dc * Exact(i) * TanhSlope(g), dh * Exact(t) * SigmoidSlope(o)};
                    return CellGradient{dz, dz, Sum{}, dc * Exact(f)};
                  });
}

std::vector<Tensor> Gru(const Call& call) {
  std::vector<Tensor> results =
      Forward(call, 3, 4, [](const std::vector<Sum>& x, const std::vector<Sum>& state, const Sum& before, const Sum&) {
        const Sum r = Sigmoid(x[0] + state[0]), z = Sigmoid(x[1] + state[1]), n = Tanh(x[2] + r * state[2]);
        return Cell{OneMinus(z) * n + z * before, Sum{}, {r, z, n, state[2]}};
      });
  results.pop_back();
  return results;
}

std::vector<Tensor> GruGrad(const Call& call) {
  return Backward(call, 3, 4, [](const Sum& dh, const Sum&, const std::vector<double>& saved, double before, double) {
    const double r = saved[0], z = saved[1], n = saved[2], q = saved[3];
    const Sum dn = dh * Exact(1 - z) * TanhSlope(n);
    const Sum difference{before - n, std::abs(before) + std::abs(n)};
    const Sum dz = dh * difference * SigmoidSlope(z), dr = dn * Exact(q) * SigmoidSlope(r);
    return CellGradient{{dr, dz, dn}, {dr, dz, dn * Exact(r)}, dh * Exact(z), Sum{}};
  });
}

constexpr OpFunction kRows[] = {
    {.kind = OpKind::kLstm, .run = Lstm},
    {.kind = OpKind::kLstmGrad, .run = LstmGrad},
    {.kind = OpKind::kGru, .run = Gru},
    {.kind = OpKind::kGruGrad, .run = GruGrad},
};

}  // namespace

std::span<const OpFunction> RecurrentRows() { return kRows; }

}  // namespace lockstep::reference
