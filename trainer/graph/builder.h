// Builds forward graphs: each call appends ops, infers their shapes, and returns the result. Single ops are inherited
// (OpCalls, op_calls.h); here are values, layers, which create their parameters with their initialisation under
// PyTorch's names ("conv1.weight", "layer1.0.bn1.running_mean"), and losses.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "trainer/graph/graph.h"
#include "trainer/graph/op_calls.h"

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
  bool decay = true;               ///< false for biases and norms
  std::vector<float> values = {};  ///< one for each element, instead of the initializer
};

struct Conv1dLayer {
  int64_t out = 0;
  int kernel = 1, stride = 1, padding = 0;
  bool bias = true;
  Initializer weight = {};
};
struct Conv2dLayer {
  int64_t out = 0;
  Pair kernel = 1, stride = 1, padding = 0;
  int groups = 1;
  bool bias = true;
  Initializer weight = {}, bias_start = {};
  bool shared = false;  ///< parameters that are there already serve again
  Pair dilation = 1;
};

struct ConvTranspose2dLayer {
  int64_t out = 0;
  Pair kernel = 1, stride = 1, padding = 0;
  Pair output_padding = 0;  ///< rows below and columns behind what the window reaches; less than the stride
  int groups = 1;
  Pair dilation = 1;
};

/// States of a recurrent layer, each [batch, hidden]; a GRU has no cell.
struct RecurrentStates {
  ValueId hidden = kNoValue, cell = kNoValue;
};
struct RecurrentLayer {
  int64_t hidden = 0;
  ValueId length = kNoValue;  ///< i32 [batch], time steps of each row; absent: all
  bool reverse = false;
  int layer = 0;
  RecurrentStates start = {};  ///< before the first time step; absent: zeros
};

enum class Mode : uint8_t {
  kTrain,     ///< dropout and batch statistics; losses and counters
  kEvaluate,  ///< running statistics; losses and counters
  kInfer,     ///< running statistics; outputs only
};

/// What rows of a cross entropy are trained towards.
enum class RowTargets : uint8_t { kLabel, kWeighted, kMixed };

class Builder final : public OpCalls {
 public:
  Builder(Mode mode, int64_t batch) : mode_(mode), batch_(batch) {}

  Mode mode() const { return mode_; }
  int64_t batch() const { return batch_; }
  const Shape& shape(ValueId value) const { return graph_.value(value).shape; }
  DType dtype(ValueId value) const { return graph_.value(value).dtype; }

  /// Any op of the table: its results.
  std::vector<ValueId> Emit(OpKind kind, std::vector<ValueId> inputs, Attributes attributes, const std::string& name) {
    return Append(kind, std::move(inputs), std::move(attributes), name);
  }

  /// An input of shape [batch, shape...].
  ValueId Input(const std::string& name, const Shape& shape, DType dtype);
  ValueId Parameter(const std::string& name, const Shape& shape, Initializer initializer, bool decay);
  /// The same, or the one of that name that is there already.
  ValueId SharedParameter(const std::string& name, const Shape& shape, Initializer initializer, bool decay);
  ValueId Statistic(const std::string& name, const Shape& shape, float start);
  /// A statistic that nothing moves. REQUIRES: as many values as the shape has.
  ValueId Buffer(const std::string& name, const Shape& shape, std::vector<float> values);
  /// The parameter of that name, or kNoValue.
  ValueId FindParameter(const std::string& name) const;
  /// What inference keeps between runs: [batch, shape...]. A program's run goes on from it (NextState).
  ValueId State(const std::string& name, const Shape& shape);
  /// The next run finds `value` in state `name`.
  void NextState(const std::string& name, ValueId value);

  /// x [batch, in] -> [batch, out]. Parameters name.weight [out, in] and, with `bias`, name.bias [out].
  ValueId Linear(ValueId x, const std::string& name, int64_t out, bool bias, Initializer weight,
                 Initializer bias_start = {});
  /// x [batch, t, in] -> [batch, t', out]. Parameters name.weight [out, in * kernel] (PyTorch's [out, in, kernel], the
  /// last two as one) and, with `bias`, name.bias.
  ValueId Conv1d(ValueId x, const std::string& name, const Conv1dLayer& layer);
  /// x [batch, h, w, in] -> [batch, h', w', out]. Parameters name.weight and, with `bias`, name.bias.
  ValueId Conv2d(ValueId x, const std::string& name, const Conv2dLayer& layer);
  /// PyTorch's nn.ConvTranspose2d: x [batch, h, w, in] -> [batch, h', w', out], h' = (h - 1) stride - 2 padding +
  /// dilation (kernel - 1) + output_padding + 1. Parameter name.weight [in, out / groups, kernel height, kernel
  /// width], which starts as PyTorch's does; no bias.
  ValueId ConvTranspose2d(ValueId x, const std::string& name, const ConvTranspose2dLayer& layer);
  /// One direction of a layer of PyTorch's nn.LSTM: x [batch, t, in] -> [batch, t, hidden]. Parameters
  /// name.weight_ih_l0, name.weight_hh_l0, name.bias_ih_l0, name.bias_hh_l0 (l1, .. for further layers; "_reverse"
  /// behind them for the reverse direction), which start as PyTorch's do. `last` receives the states behind the last
  /// time step. No gradient goes through states.
  ValueId Lstm(ValueId x, const std::string& name, const RecurrentLayer& layer, RecurrentStates* last = nullptr);
  /// The same of nn.GRU.
  ValueId Gru(ValueId x, const std::string& name, const RecurrentLayer& layer, RecurrentStates* last = nullptr);
  /// Normalises over all but the last dimension. Parameters name.weight, name.bias; statistics name.running_mean,
  /// name.running_var.
  ValueId BatchNorm(ValueId x, const std::string& name, float epsilon, float momentum, float weight_start);
  /// The same by statistics that stay as they are, in every mode, and so do weight and bias: name.weight and name.bias
  /// are statistics too, which nothing moves (torchvision's FrozenBatchNorm2d).
  ValueId FrozenBatchNorm(ValueId x, const std::string& name, float epsilon);
  /// Normalises over the last dimension. Parameters name.weight and, with `bias`, name.bias.
  ValueId LayerNorm(ValueId x, const std::string& name, float epsilon, bool bias = true);
  /// Normalises images [batch, h, w, c] over height, width and each of `groups` groups of channels. Parameters
  /// name.weight, name.bias; with `shared`, those that are there already serve again.
  ValueId GroupNorm(ValueId x, const std::string& name, int groups, float epsilon, bool shared = false);
  /// Divides by the root mean square over the last dimension. Parameter name.weight.
  ValueId RmsNorm(ValueId x, const std::string& name, float epsilon);
  /// x itself for kNone.
  ValueId Activate(ValueId x, Activation activation);
  /// Nothing in kEvaluate and kInfer. `name` empty: the kind's name and a number.
  ValueId Dropout(ValueId x, float probability, const std::string& name = "");
  /// [batch, h, w, c] -> [batch, c * h * w], channels first, as PyTorch flattens NCHW; [batch, n] stays.
  ValueId Flatten(ValueId x);

  /// Adds the loss "loss" = sum over rows of cross entropy of logits [batch, .., classes] with input "label" i32
  /// [batch, ..]; rows of label -1 don't count. Adds the counter "correct". With RowTargets::kWeighted rows count as
  /// often as input "weight" f32 [batch, ..] says, and with kMixed also, with input "other_label", as often as input
  /// "other_weight" says.
  void SoftmaxCrossEntropy(ValueId logits, float label_smoothing, RowTargets targets = RowTargets::kLabel);
  /// Adds the loss "loss" = sum over rows of the mean over columns of (prediction - target)^2, with inputs "target" f32
  /// [batch, k] and "mask" f32 [batch].
  void MeanSquaredError(ValueId prediction);
  /// Adds the loss "loss" = sum over samples of connectionist temporal classification (OpKind::kCtc): logits [batch, t,
  /// classes], class 0 the blank; label i32 [batch, u], length and label_length i32 [batch] are inputs. Adds the
  /// counter "impossible": samples without an alignment, whose loss and gradient are 0.
  void Ctc(ValueId logits, ValueId label, ValueId length, ValueId label_length);
  /// Adds the loss `name` = OpKind::kFocalLoss of logits [batch, .., classes], with target f32 [batch, .., classes] or
  /// label i32 [batch, ..], and mask f32 [batch]. `attributes.loss` is given here.
  void FocalLoss(const std::string& name, ValueId logits, ValueId target, ValueId mask,
                 const FocalAttributes& attributes);
  /// Adds the loss `name` = OpKind::kBoxLoss of sides [batch, .., 4], with target f32 [batch, .., 4] and weight f32
  /// [batch, ..]. `attributes.loss` is given here.
  void BoxLoss(const std::string& name, ValueId sides, ValueId target, ValueId weight,
               const BoxLossAttributes& attributes);
  /// Adds the loss `name` = OpKind::kSigmoidCrossEntropy of logits [batch, ..], with target and weight f32 [batch, ..].
  void SigmoidCrossEntropy(const std::string& name, ValueId logits, ValueId target, ValueId weight);
  /// Appends an op whose result 0 is the graph's next loss, whose index the attributes get: returns its results. The
  /// loss counts `weight` times.
  std::vector<ValueId> AddLoss(OpKind kind, std::vector<ValueId> inputs, Attributes attributes, const std::string& name,
                               float weight = 1);
  /// Counts i64 []; "correct" of the first loss, "correct2" of the second.
  void AddCounter(const std::string& name, ValueId count);
  void Output(const std::string& name, ValueId value);

  const std::vector<ParameterInfo>& parameter_infos() const { return infos_; }
  /// The finished graph.
  Graph Finish();

 private:
  /// SharedParameter where it is `shared`, else Parameter.
  ValueId LayerParameter(const std::string& name, const Shape& shape, Initializer initializer, bool decay, bool shared);
  ValueId NewValue(Value value);
  ValueId StepBlockValue();
  /// A layer of kLstm or kGru; result: the op's outputs.
  std::vector<ValueId> Recurrent(OpKind kind, ValueId x, const std::string& name, const RecurrentLayer& layer);
  std::vector<ValueId> Append(OpKind kind, std::vector<ValueId> inputs, Attributes attributes,
                              const std::string& name) override;
  /// "" for the graph's first loss, "2" for its second, and so on: what stands behind names that all losses share.
  std::string LossSuffix() const;

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
