// Builds forward graphs: each call appends an op, infers its shapes, and returns its result. Parameters are created
// with their initialisation; names follow PyTorch's ("conv1.weight", "layer1.0.bn1.running_mean").
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "trainer/graph/graph.h"

namespace lockstep::graph {

/// How a parameter or statistic starts: value + deviation * (a standard normal from the parameter's own random stream)
/// + a number uniform in [-uniform, uniform).
struct Initializer {
  float value = 0;
  float deviation = 0;
  float uniform = 0;  ///< REQUIRES: 0 where there is a deviation
};

/// Whether weight decay applies, and what else the optimizer must know of a parameter.
struct ParameterInfo {
  ValueId value = kNoValue;
  Initializer initializer;
  bool decay = true;  ///< false for biases and norms
};

/// States of a recurrent layer, each [batch, hidden]; a GRU has no cell.
struct RecurrentStates {
  ValueId hidden = kNoValue, cell = kNoValue;
};

enum class Mode : uint8_t {
  kTrain,     ///< dropout and batch statistics; losses and counters
  kEvaluate,  ///< running statistics; losses and counters
  kInfer,     ///< running statistics; outputs only
};

class Builder {
 public:
  Builder(Mode mode, int64_t batch) : mode_(mode), batch_(batch) {}

  Mode mode() const { return mode_; }
  int64_t batch() const { return batch_; }
  const Shape& shape(ValueId value) const { return graph_.value(value).shape; }

  /// An input of shape [batch, shape...].
  ValueId Input(const std::string& name, const Shape& shape, DType dtype);
  ValueId Parameter(const std::string& name, const Shape& shape, Initializer initializer, bool decay);
  /// The same, or the one of that name that is there already.
  ValueId SharedParameter(const std::string& name, const Shape& shape, Initializer initializer, bool decay);
  ValueId Statistic(const std::string& name, const Shape& shape, float start);
  /// What inference keeps between runs: [batch, shape...]. A program's run goes on from it (NextState).
  ValueId State(const std::string& name, const Shape& shape);
  /// The next run finds `value` in state `name`.
  void NextState(const std::string& name, ValueId value);

  /// x [batch, in] -> [batch, out]. Parameters name.weight [out, in] and, with `bias`, name.bias [out].
  ValueId Linear(ValueId x, const std::string& name, int64_t out, bool bias, Initializer weight,
                 Initializer bias_start = {});
  /// The same with a weight [out, in] that is there already (tied to an embedding), without bias.
  ValueId TiedLinear(ValueId x, const std::string& name, ValueId weight);
  /// id i32 [.., t] -> [.., t, channels of `table`]. `table` [v, c] and `position` [p >= t, c] (or kNoValue) are
  /// parameters. Adds sinusoids of the place with `sinusoids`. `first` i32 [batch], where given, is a row's first
  /// place, of at most `places`.
  ValueId Embedding(ValueId id, const std::string& name, ValueId table, ValueId position, float scale = 1,
                    bool sinusoids = false, ValueId first = kNoValue, int64_t places = 0);
  /// See OpKind::kAttention; `memory` and `length` may be kNoValue.
  ValueId Attention(ValueId query, ValueId memory, ValueId length, const AttentionAttributes& attributes);
  ValueId Rotary(ValueId x, const RotaryAttributes& attributes, ValueId first = kNoValue);
  /// Channels [begin, end) of x [batch, t, c] at places first[n].. of the state `cache` [batch, s, end - begin]: the
  /// cache as it is then.
  ValueId CacheAppend(ValueId cache, ValueId x, ValueId first, int64_t begin, int64_t end);
  /// x [.., c] -> [.., end - begin].
  ValueId Slice(ValueId x, int64_t begin, int64_t end);
  ValueId SwiGlu(ValueId x);
  /// PyTorch's conv1d over places: x [batch, t, in] -> [batch, t', out]. Parameters name.weight [out, in * kernel] (its
  /// [out, in, kernel], the last two as one) and, with `bias`, name.bias.
  ValueId Conv1d(ValueId x, const std::string& name, int64_t out, int kernel, int stride, int padding, bool bias,
                 Initializer weight);
  /// One direction of layer `layer` of PyTorch's nn.LSTM: x [batch, t, in] -> [batch, t, hidden]. Parameters
  /// name.weight_ih_l0, name.weight_hh_l0, name.bias_ih_l0, name.bias_hh_l0 (l1, .. for further layers; "_reverse"
  /// behind them for the reverse direction), which start as PyTorch's do. `length` i32 [batch] may be kNoValue.
  /// `start`: the states before the first place, or kNoValue for zeros; `last` receives those behind the last. No
  /// gradient goes through either.
  ValueId Lstm(ValueId x, const std::string& name, int64_t hidden, ValueId length, bool reverse = false, int layer = 0,
               const RecurrentStates& start = {}, RecurrentStates* last = nullptr);
  /// The same of nn.GRU.
  ValueId Gru(ValueId x, const std::string& name, int64_t hidden, ValueId length, bool reverse = false, int layer = 0,
              const RecurrentStates& start = {}, RecurrentStates* last = nullptr);
  /// The place of the first largest: x [.., c] -> i32 [..].
  ValueId ArgMax(ValueId x);
  /// x [batch, h, w, in] -> [batch, h', w', out].
  ValueId Conv2d(ValueId x, const std::string& name, int64_t out, int kernel, int stride, int padding, int groups,
                 bool bias, Initializer weight);
  ValueId MaxPool2d(ValueId x, int kernel, int stride, int padding);
  ValueId AveragePool2d(ValueId x, int kernel, int stride, int padding);
  /// [batch, h, w, c] -> [batch, c].
  ValueId GlobalAveragePool(ValueId x);
  /// Normalises over all but the last dimension. Parameters name.weight, name.bias; statistics name.running_mean,
  /// name.running_var.
  ValueId BatchNorm(ValueId x, const std::string& name, float epsilon, float momentum, float weight_start);
  /// Normalises over the last dimension. Parameters name.weight and, with `bias`, name.bias.
  ValueId LayerNorm(ValueId x, const std::string& name, float epsilon, bool bias = true);
  /// Divides by the root mean square over the last dimension. Parameter name.weight.
  ValueId RmsNorm(ValueId x, const std::string& name, float epsilon);
  ValueId Activate(ValueId x, Activation activation);
  /// Nothing in kEvaluate and kInfer.
  ValueId Dropout(ValueId x, float probability);
  ValueId Add(ValueId a, ValueId b);
  ValueId Reshape(ValueId x, const Shape& shape);
  /// [batch, h, w, c] -> [batch, c * h * w], channels first, as PyTorch flattens NCHW; [batch, n] stays.
  ValueId Flatten(ValueId x);
  /// Keeps every `stride`-th row and column and appends zero channels: ResNet's option A shortcut.
  ValueId PadChannels(ValueId x, int stride, int64_t channels);

  /// a [.., p], b [.., q] -> [.., p + q].
  ValueId Concat(ValueId a, ValueId b);

  /// Adds the loss "loss" = sum over rows of cross entropy of logits [batch, .., classes] with input "label" i32
  /// [batch,
  /// ..]; rows of label -1 don't count. Adds the counter "correct".
  void SoftmaxCrossEntropy(ValueId logits, float label_smoothing);
  /// Adds the loss "loss" = sum over rows of the mean over columns of (prediction - target)^2, with inputs "target" f32
  /// [batch, k] and "mask" f32 [batch].
  void MeanSquaredError(ValueId prediction);
  /// Adds the loss "loss" = sum over samples of connectionist temporal classification (OpKind::kCtc): logits [batch, t,
  /// classes], class 0 the blank; label i32 [batch, u], length and label_length i32 [batch] are inputs. Adds the
  /// counter "impossible": samples without an alignment, whose loss and gradient are 0.
  void Ctc(ValueId logits, ValueId label, ValueId length, ValueId label_length);
  void Output(const std::string& name, ValueId value);

  const std::vector<ParameterInfo>& parameter_infos() const { return infos_; }
  /// The finished graph.
  Graph Finish();

 private:
  ValueId NewValue(Value value);
  ValueId StepBlockValue();
  /// A layer of `gates` gates; result: the op's outputs.
  std::vector<ValueId> Recurrent(OpKind kind, int gates, ValueId x, const std::string& name, int64_t hidden,
                                 ValueId length, bool reverse, int layer, const RecurrentStates& start);
  std::vector<ValueId> Append(OpKind kind, std::vector<ValueId> inputs, Attributes attributes, const std::string& name);

  Mode mode_;
  int64_t batch_;
  Graph graph_;
  std::vector<ParameterInfo> infos_;
  ValueId step_block_ = kNoValue;
  uint32_t next_layer_key_ = 1;
  std::map<OpKind, int> counts_;
};

/// A function that builds a model: the same parameters in the same order whatever mode and batch.
/// Result: the graph, and what the optimizer and the initialisation must know of its parameters.
struct Model {
  Graph graph;
  std::vector<ParameterInfo> parameters;
};

}  // namespace lockstep::graph
