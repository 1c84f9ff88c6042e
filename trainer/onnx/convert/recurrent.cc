// LSTM and GRU: weights in PyTorch's order of gates, under its names.
#include <fmt/format.h>

#include <algorithm>

#include "trainer/onnx/convert/emit.h"
#include "trainer/onnx/convert/weight_trace.h"

namespace lockstep::onnx {
namespace {

/// Gates in PyTorch's order, as places in the standard's: an LSTM's i, f, g, o of i, o, f, c; a GRU's r, z, n of z, r,
/// h.
Dims GateOrder(bool lstm) { return lstm ? Dims{0, 2, 3, 1} : Dims{1, 0, 2}; }

/// Rows of one direction [gates hidden, columns] in PyTorch's order.
template <typename T>
std::vector<T> InGateOrder(const std::vector<T>& values, int64_t offset, int64_t hidden, int64_t columns, bool lstm) {
  std::vector<T> ordered;
  for (const int64_t gate : GateOrder(lstm)) {
    const auto begin = values.begin() + offset + gate * hidden * columns;
    ordered.insert(ordered.end(), begin, begin + hidden * columns);
  }
  return ordered;
}

class RecurrentConversion {
 public:
  RecurrentConversion(Conversion& to, const OpNode& node)
      : to_(to), node_(node), lstm_(node.op() == "LSTM"), name_(to.NameFor(node, lstm_ ? "lstm" : "gru")) {}

  void Run() {
    Check();
    const Dims &weight = node_.input_dims(1), &recurrence = node_.input_dims(2);
    directions_ = weight[0];
    hidden_ = recurrence[2];
    place_ = PlaceOf(node_.proto());
    FindLayers();
    if (place_.layer == 0) {
      models::Node layer = NodeReading({TimeSecond()});
      TakeGates();
      layer.set_parameters(place_.module);
      models::RecurrentNode& recurrent = lstm_ ? *layer.mutable_lstm() : *layer.mutable_gru();
      recurrent.set_hidden(static_cast<uint32_t>(hidden_));
      if (directions_ == 2) recurrent.set_bidirectional(true);
      if (layers_ > 1) recurrent.set_layers(static_cast<uint32_t>(layers_));
      return BindResults(to_.Emit(std::move(layer), place_.module));
    }
    // The layer that was emitted with the module's first does the work of this one, too.
    const std::string x = to_.Value(node_.input(0)).name;
    const std::string first = RecurrentBefore(x);
    if (first.empty()) throw Unsupported("a further layer that doesn't read the one before");
    TakeGates();
    BindResults(first);
  }

 private:
  void Check() {
    const Attributes& attributes = node_.attributes();
    if (attributes.String("direction", "forward") == "reverse") throw Unsupported("one direction, from the end");
    if (attributes.Has("activations")) {
      const std::vector<std::string> names = attributes.Strings("activations");
      for (size_t i = 0; i < names.size(); ++i)
        if (names[i] != (i % (lstm_ ? 3 : 2) == 0 ? "Sigmoid" : "Tanh")) throw Unsupported("activations of its own");
    }
    if (attributes.Has("clip") || attributes.Int("input_forget", 0) != 0) throw Unsupported("clip or input_forget");
    if (!lstm_ && attributes.Int("linear_before_reset", 0) == 0) throw Unsupported("linear_before_reset 0");
    if (node_.Has(4)) throw Unsupported("lengths of sequences");
    for (const size_t state : {5u, 6u}) {
      if (!node_.Has(state)) continue;
      const std::optional<double> start = to_.Uniform(node_.input(state));
      if (!start || *start != 0) throw Unsupported("a first state other than zeros");
    }
    if (node_.Has(7)) throw Unsupported("peepholes");
  }

  /// [batch, time, channels], as recipes have it.
  std::string TimeSecond() {
    const std::string x = to_.Floats(node_.input(0));
    return node_.attributes().Int("layout", 0) != 0 ? x : Transposed(to_, x, {1, 0, 2}, name_ + ".batch_first");
  }

  /// Which module of PyTorch's, and which of its layers.
  struct Place {
    std::string module;
    int layer = 0;
    bool named = false;  ///< weights say so; else it is a module by itself
  };

  /// "lstm" and 1 of the parameter "lstm.weight_ih_l1" that the first weight comes from.
  Place PlaceOf(const NodeProto& node) const {
    const std::string source = TraceOf(to_.view(), node.input(1)).first_source();
    const std::string mark = ".weight_ih_l";
    const size_t at = source.rfind(mark);
    if (at == std::string::npos || !IsGivenName(source)) {
      const std::string path = ModulePathOf(node);
      return {path.empty() ? (lstm_ ? "lstm" : "gru") : path};
    }
    const std::string number = source.substr(at + mark.size());
    return {source.substr(0, at), std::atoi(number.c_str()), true};
  }

  /// How many layers the module has; without names each operator is a module.
  void FindLayers() {
    layers_ = 1;
    if (!place_.named) {
      const std::string base = place_.module;
      for (int i = 1; to_.HasStored(place_.module + ".weight_ih_l0"); ++i)
        place_.module = fmt::format("{}_{}", base, i);
      return;
    }
    for (const NodeProto& other : to_.view().graph().node())
      if (other.op_type() == node_.op() && to_.view().IsNeeded(other))
        if (const Place place = PlaceOf(other); place.named && place.module == place_.module)
          layers_ = std::max(layers_, place.layer + 1);
  }

  /// The module's node, which `x` comes from through dropout and what changes only its shape; empty: another.
  std::string RecurrentBefore(const std::string& x) {
    double dropout = 0;
    for (const models::Node* node = to_.Emitted(x); node != nullptr && node->input_size() == 1;
         node = to_.Emitted(node->input(0))) {
      if (node->has_lstm() || node->has_gru()) {
        const std::string name = node->name();
        const std::string module = node->parameters().empty() ? name : node->parameters();
        if (module != place_.module) return "";
        models::Node* recurrent = to_.Emitted(name);
        if (dropout > 0) (lstm_ ? recurrent->mutable_lstm() : recurrent->mutable_gru())->set_dropout(dropout);
        return name;
      }
      if (node->op_case() == models::Node::kDropout) dropout = node->dropout();
    }
    return "";
  }

  /// Stores weights and biases of all directions.
  void TakeGates() {
    for (int64_t direction = 0; direction < directions_; ++direction) {
      const std::string end = fmt::format("_l{}{}", place_.layer, direction == 1 ? "_reverse" : "");
      StoreGates(place_.module + ".weight_ih" + end, 1, direction, 0, node_.input_dims(1)[2], true);
      StoreGates(place_.module + ".weight_hh" + end, 2, direction, 0, hidden_, true);
      const int64_t gates = static_cast<int64_t>(GateOrder(lstm_).size()) * hidden_;
      StoreGates(place_.module + ".bias_ih" + end, 3, direction, 0, 1, false);
      StoreGates(place_.module + ".bias_hh" + end, 3, direction, gates, 1, false);
    }
  }

  /// The part of input `index` from `offset` within `direction`, with PyTorch's gates.
  void StoreGates(const std::string& name, size_t index, int64_t direction, int64_t offset, int64_t columns,
                  bool matrix) {
    const int64_t rows = static_cast<int64_t>(GateOrder(lstm_).size()) * hidden_;
    const Dims dims = matrix ? Dims{rows, columns} : Dims{rows};
    std::vector<float> values(static_cast<size_t>(rows * columns), 0);
    if (node_.Has(index)) {
      const std::vector<float> all = TraceOf(to_.view(), node_.input(index)).values();
      const int64_t size = static_cast<int64_t>(all.size()) / directions_;
      values = InGateOrder(all, direction * size + offset, hidden_, columns, lstm_);
    }
    to_.CountParameter(dims);
    to_.Store(name, dims, std::move(values));
  }

  /// y [time, directions, batch, hidden] of [batch, time, directions hidden], and the states behind the last time step.
  void BindResults(const std::string& layer) {
    const bool batch_first = node_.attributes().Int("layout", 0) != 0;
    const auto wanted = [&](int i) {
      return node_.proto().output_size() > i && !node_.output(static_cast<size_t>(i)).empty() &&
             (!to_.view().ReadersOf(node_.output(static_cast<size_t>(i))).empty() ||
              to_.view().IsOutput(node_.output(static_cast<size_t>(i))));
    };
    if (wanted(0)) {
      const Dims shape = to_.OpenShape(node_.output(0));  // [time, directions, batch, hidden]
      const Dims parts = batch_first ? shape : Dims{shape[2], shape[0], shape[1], shape[3]};
      models::Node reshape = NodeReading({layer});
      for (const int64_t dim : parts) reshape.mutable_reshape()->add_shape(dim);
      const std::string y = to_.Emit(std::move(reshape), name_ + ".directions");
      to_.Bind(node_.output(0), {batch_first ? y : Transposed(to_, y, {1, 2, 0, 3}, name_ + ".time_first")});
    }
    for (const int i : {1, 2}) {
      if (!wanted(i)) continue;
      const std::string all = fmt::format("{}:{}", layer, i);
      const std::string state = Sliced(to_, all, {-1, layers_ * directions_, hidden_}, 1, place_.layer * directions_, 1,
                                       directions_, name_ + ".layer");
      to_.Bind(node_.output(static_cast<size_t>(i)),
               {batch_first ? state : Transposed(to_, state, {1, 0, 2}, name_ + (i == 1 ? ".hidden" : ".cell"))});
    }
  }

  Conversion& to_;
  const OpNode& node_;
  const bool lstm_;
  const std::string name_;
  int64_t directions_ = 1, hidden_ = 0;
  Place place_;
  int layers_ = 1;
};

void ConvertRecurrent(Conversion& to, const OpNode& node) { RecurrentConversion(to, node).Run(); }

}  // namespace

ConvertRules RecurrentConversions() { return {{"GRU", ConvertRecurrent}, {"LSTM", ConvertRecurrent}}; }

}  // namespace lockstep::onnx
