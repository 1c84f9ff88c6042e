// The graph: values and ops in topological order. A model is built once as a forward graph (builder.h); passes turn it
// into the graph of one lane's training step or of inference, and the engine compiles that into a program.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/shape.h"
#include "trainer/graph/ops.h"

namespace lockstep::graph {

enum class Role : uint8_t {
  kInput,       ///< what the loader delivers: "image", "label", ...
  kStepBlock,   ///< the StepBlock (step_block.h) of this step and lane
  kParameter,   ///< trained; lies in the parameter arena
  kState,       ///< of inference: kept between runs, in memory that the program is given (a cache of keys and values)
  kStatistic,   ///< a running statistic (batch norm); lies in the parameter arena behind the parameters; evaluation
                ///< reads it
  kActivation,  ///< everything computed; lies in the activation arena
};

struct Value {
  std::string name;
  Shape shape;
  DType dtype = DType::kF32;
  Role role = Role::kActivation;
  /// Elements from one row (of the last dimension) to the next in memory; 0: as many as a row has. What lies between is
  /// neither written nor read, save in images (kPixels), where it is 0. Only passes::PadRows gives it.
  int64_t pitch = 0;

  int64_t row_pitch() const { return pitch > 0 ? pitch : shape.dim(-1); }
  /// In memory.
  int64_t bytes() const {
    return (pitch > 0 ? shape.size() / shape.dim(-1) * pitch : shape.size()) * static_cast<int64_t>(SizeOf(dtype));
  }
};

struct Op {
  OpKind kind;
  std::vector<ValueId> inputs;   ///< kNoValue where an optional input is absent
  std::vector<ValueId> outputs;  ///< kNoValue where nobody wants it
  Attributes attributes;
  std::string name;  ///< "conv1", "conv1/weight_grad": for dumps and errors

  template <typename A>
  const A& as() const {
    return std::get<A>(attributes);
  }
};

/// Something that is summed over the global batch: a loss. Its value is one f64: the sum over the lane's samples.
struct Loss {
  std::string name;
  ValueId sum = kNoValue;
  float weight = 1;  ///< what it counts beside the others
};
/// An integer that is counted over the global batch, e.g. "correct": one i64.
struct Counter {
  std::string name;
  ValueId count = kNoValue;
};
/// How a new running statistic follows from the lane's: running += momentum * (tree mean of `lane_value` - running).
struct StatisticUpdate {
  ValueId statistic = kNoValue;   ///< Role::kStatistic
  ValueId lane_value = kNoValue;  ///< this lane's mean or unbiased variance
  float momentum = 0.1f;
};

/// An output of this prefix and a state's name is what the state holds after the run.
inline constexpr const char kNextState[] = "next:";

struct Graph {
  std::vector<Value> values;
  std::vector<Op> ops;
  std::vector<ValueId> parameters;  ///< in creation order
  std::vector<ValueId> statistics;  ///< in creation order
  std::vector<Loss> losses;
  std::vector<Counter> counters;
  std::vector<StatisticUpdate> statistic_updates;
  std::map<std::string, ValueId> outputs;  ///< named results, e.g. "logits"
  /// Filled by autodiff: the gradient of each parameter that has one.
  std::map<ValueId, ValueId> gradients;

  const Value& value(ValueId id) const { return values[static_cast<size_t>(id)]; }
  /// kNoValue where there is none.
  ValueId Find(std::string_view name) const;
};

}  // namespace lockstep::graph
