#include "tests/trainer/kernels/check_op.h"

#include <cmath>

#include "base/error.h"
#include "tests/trainer/kernels/op_runner.h"
#include "trainer/graph/op_table.h"

namespace lockstep::conformance {
namespace {

using Results = std::vector<std::vector<std::byte>>;
using Lines = std::vector<std::string>;

bool IsRecurrent(graph::OpKind kind) {
  using graph::OpKind;
  return kind == OpKind::kLstm || kind == OpKind::kLstmGrad || kind == OpKind::kGru || kind == OpKind::kGruGrad;
}

/// How a backend's results are rounded.
struct Precision {
  double unit_roundoff;
  DType activations;

  /// Of output i. Where activations are bf16, what is float all the same is as precise as ever: its operands are exact,
  /// and sums are kept in float. All but the gradient of a convolution's weight, which libraries make in bf16, and what
  /// recurrent layers make of states that were rounded at the place before.
  double Of(const Instance& instance, size_t i) const {
    const graph::Op& op = instance.op();
    const bool rounded = instance.graph.value(op.outputs[i]).dtype == activations ||
                         (op.kind == graph::OpKind::kConv2dWeightGrad && i == 0) || IsRecurrent(op.kind);
    return rounded ? unit_roundoff : 0x1p-24;
  }
};

void CompareAll(const Instance& instance, const std::vector<reference::Tensor>& expected, const Results& results,
                const Precision& precision, const std::string& when, Lines& lines) {
  const graph::Op& op = instance.op();
  for (size_t i = 0; i < op.outputs.size(); ++i) {
    if (op.outputs[i] == graph::kNoValue) continue;
    const graph::Value& value = instance.graph.value(op.outputs[i]);
    if (value.shape != expected[i].shape) {
      lines.push_back(fmt::format("output {} is {}, but the reference's {}", i, value.shape.ToString(),
                                  expected[i].shape.ToString()));
      continue;
    }
    const std::string difference =
        Compare(expected[i], value.dtype, Decode(value.dtype, results[i]), precision.Of(instance, i));
    if (!difference.empty()) lines.push_back(fmt::format("{}: output {}: {}", when, i, difference));
  }
}

/// Whether output 0 may lie where the input of the op table's row lies: never over a parameter or an input of the
/// program, nor over one of another type or size.
bool CanRunInPlace(const Instance& instance) {
  const int input = graph::Row(instance.op().kind).in_place;
  if (input < 0 || instance.op().outputs[0] == graph::kNoValue) return false;
  const graph::ValueId id = instance.op().inputs[static_cast<size_t>(input)];
  if (id == graph::kNoValue) return false;
  const graph::Value &from = instance.graph.value(id), &to = instance.graph.value(instance.op().outputs[0]);
  return from.role == graph::Role::kActivation && from.dtype == to.dtype && from.shape.size() == to.shape.size();
}

}  // namespace

Lines CheckOp(engine::Backend& backend, graph::OpKind kind, const OpCase& op_case, double unit_roundoff,
              DType activations) {
  const Instance instance = MakeInstance(kind, op_case, activations);
  const Precision precision{unit_roundoff, activations};
  const std::vector<reference::Tensor> expected = Expected(instance);
  Lines lines;
  const auto add_problems = [&](const OpRunner& runner) {
    lines.insert(lines.end(), runner.problems().begin(), runner.problems().end());
  };
  // Alive to the end, so that the others can't get its memory.
  OpRunner first(backend, instance, {});
  const Results results = first.Run();
  CompareAll(instance, expected, results, precision, "first run", lines);
  if (first.Run() != results) lines.push_back("a second run gives other bits");
  add_problems(first);

  OpRunner elsewhere(backend, instance, {.offset = kBufferAlignment});
  if (elsewhere.Run() != results) lines.push_back("other addresses give other bits");
  add_problems(elsewhere);

  OpRunner in_arena(backend, instance, {.offset = kValueAlignment});
  CompareAll(instance, expected, in_arena.Run(), precision, "aligned to a cache line", lines);
  add_problems(in_arena);

  if (CanRunInPlace(instance)) {
    OpRunner in_place(backend, instance, {.in_place = true});
    if (in_place.Run() != results) lines.push_back("running in place gives other bits");
    add_problems(in_place);
  }

  OpRunner again_and_again(backend, instance, {.runs = 1000});
  if (again_and_again.packed() != first.packed()) {
    if (again_and_again.Run() != results) lines.push_back("packed weights give other bits");
    add_problems(again_and_again);
  }
  return lines;
}

Lines UnnoticedDisturbances(engine::Backend& backend, graph::OpKind kind, const OpCase& op_case, double unit_roundoff,
                            DType activations) {
  const Instance instance = MakeInstance(kind, op_case, activations);
  const Precision precision{unit_roundoff, activations};
  const std::vector<reference::Tensor> expected = Expected(instance);
  const Results results = OpRunner(backend, instance, {}).Run();
  Lines lines;
  for (size_t i = 0; i < results.size(); ++i) {
    const graph::ValueId id = instance.op().outputs[i];
    if (id == graph::kNoValue) continue;
    const DType dtype = instance.graph.value(id).dtype;
    std::vector<double> actual = Decode(dtype, results[i]);
    const size_t element = actual.size() * 2 / 3;
    const double tolerance = Tolerance(expected[i], element, dtype, precision.Of(instance, i));
    const double before = actual[element];
    actual[element] += tolerance == 0 ? 1 : 100 * tolerance;
    // Where no rounding is allowed, the tolerance is too small to move anything: one unit in the last place instead.
    if (actual[element] == before) actual[element] = std::nextafter(static_cast<float>(before), HUGE_VALF);
    if (Compare(expected[i], dtype, actual, precision.Of(instance, i)).empty()) {
      lines.push_back(
          fmt::format("output {}: element {} moved from {} to {} passes", i, element, before, actual[element]));
    }
  }
  return lines;
}

}  // namespace lockstep::conformance
