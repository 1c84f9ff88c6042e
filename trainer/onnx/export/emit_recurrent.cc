// LSTMs and GRUs, each direction a node of its own. Weights stay in PyTorch's order of gates under PyTorch's names, and
// are put into ONNX's order by nodes, as PyTorch's own exporter does it: loaders fold these away. States are of 32 bits
// also in models of halves, for which ONNX Runtime 1.32 has no kernels on CPUs: it crashes.
#include <array>

#include "trainer/onnx/export/emitters.h"

namespace lockstep::onnx {
namespace {

using graph::OpKind;

/// Gates [begin, end) of PyTorch's order, in ONNX's order.
struct Gates {
  int begin, end;
};
constexpr std::array<Gates, 3> kLstmOrder = {{{0, 1}, {3, 4}, {1, 3}}};  // i f g o -> i o f g
constexpr std::array<Gates, 3> kGruOrder = {{{1, 2}, {0, 1}, {2, 3}}};   // r z n -> z r n

constexpr std::array<int, 3> kTimeFirst = {1, 0, 2};  ///< and back

struct RecurrentEmission {
  Emission& e;
  const graph::Op& gates;  ///< the linear layer that reads x
  bool lstm;
  int64_t hidden;

  std::string Reordered(const std::string& weight) const {
    std::vector<std::string> parts;
    for (const Gates& part : lstm ? kLstmOrder : kGruOrder)
      parts.push_back(e.Slice(weight, 0, part.begin * hidden, part.end * hidden));
    return e.Node("Concat", std::move(parts), {Attribute("axis", 0)});
  }
  std::string Bias() const {
    if (gates.inputs[2] == graph::kNoValue && !e.Has(2)) return "";
    const std::vector<float> none(static_cast<size_t>((lstm ? 4 : 3) * hidden));
    const std::string zeros = e.writer().Floats(none, {static_cast<int64_t>(none.size())});
    const std::string of_x = gates.inputs[2] == graph::kNoValue ? zeros : Reordered(e.Tensor(gates.inputs[2]));
    const std::string of_h = e.Has(2) ? Reordered(e.Input(2)) : zeros;
    return e.Unsqueeze(e.Node("Concat", {of_x, of_h}, {Attribute("axis", 0)}), {0});
  }
  std::string Lengths() const {
    return e.Has(3) ? e.Node("Cast", {e.Input(3)}, {Attribute("to", TensorProto::INT32)}) : "";
  }
  std::string State(size_t input) const { return e.Has(input) ? e.Unsqueeze(e.Input(input), {0}) : ""; }
};

void EmitRecurrent(Emission& e, bool lstm) {
  const graph::Op* gates = e.Maker(e.op().inputs[0]);
  if (gates == nullptr || gates->kind != OpKind::kLinear)
    e.Fail("a recurrent layer whose gates no linear layer makes can't be written");
  const RecurrentEmission layer{e, *gates, lstm, e.ResultShape()[2]};
  std::vector<AttributeProto> attributes{
      Attribute("hidden_size", layer.hidden),
      Attribute("direction", e.op().as<graph::RecurrentAttributes>().reverse ? "reverse" : "forward")};
  if (!lstm) attributes.push_back(Attribute("linear_before_reset", 1));
  std::vector<std::string> inputs{e.Wide(e.Transpose(e.Tensor(gates->inputs[0]), kTimeFirst)),
                                  e.Wide(e.Unsqueeze(layer.Reordered(e.Tensor(gates->inputs[1])), {0})),
                                  e.Wide(e.Unsqueeze(layer.Reordered(e.Input(1)), {0})),
                                  e.Wide(layer.Bias()),
                                  layer.Lengths(),
                                  e.Wide(layer.State(4))};
  if (lstm) inputs.push_back(e.Wide(layer.State(5)));
  const std::vector<std::string> results =
      e.writer().Nodes(lstm ? "LSTM" : "GRU", std::move(inputs), std::move(attributes), lstm ? 3 : 2);
  // y [time, 1, batch, hidden]; states [1, batch, hidden].
  e.Result(e.Narrow(e.Transpose(e.Squeeze(results[0], 1), kTimeFirst)));
  for (size_t i = 1; i < results.size(); ++i) e.Result(e.Narrow(e.Squeeze(results[i], 0)), Order::kOurs, i + 1);
}

void EmitLstm(Emission& e) { EmitRecurrent(e, true); }
void EmitGru(Emission& e) { EmitRecurrent(e, false); }

constexpr EmitterRow kRows[] = {
    {OpKind::kLstm, EmitLstm},
    {OpKind::kGru, EmitGru},
};

}  // namespace

std::span<const EmitterRow> RecurrentEmitters() { return kRows; }

}  // namespace lockstep::onnx
