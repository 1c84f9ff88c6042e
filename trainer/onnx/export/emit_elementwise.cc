// Ops that compute value by value.
#include <cmath>
#include <numbers>

#include "trainer/onnx/export/emitters.h"

namespace lockstep::onnx {
namespace {

using graph::Activation;
using graph::OpKind;

/// PyTorch's spelling: 0.5 x (1 + erf(x / sqrt(2))).
std::string Gelu(Emission& e, const std::string& x) {
  const std::string erf = e.Node("Erf", {e.Node("Div", {x, e.writer().Float(std::numbers::sqrt2_v<float>)})});
  const std::string product = e.Node("Mul", {x, e.Node("Add", {erf, e.writer().Float(1)})});
  return e.Node("Mul", {product, e.writer().Float(0.5f)});
}

/// GPT-2's spelling: 0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))).
std::string GeluTanh(Emission& e, const std::string& x) {
  const std::string cube = e.Node("Mul", {e.Node("Pow", {x, e.writer().Float(3)}), e.writer().Float(0.044715f)});
  const std::string sum = e.Node("Add", {x, cube});
  const std::string tanh = e.Node("Tanh", {e.Node("Mul", {sum, e.writer().Float(0.7978845608f)})});
  const std::string half = e.Node("Mul", {x, e.writer().Float(0.5f)});
  return e.Node("Mul", {half, e.Node("Add", {tanh, e.writer().Float(1)})});
}

std::string Activated(Emission& e, const std::string& x, Activation activation) {
  switch (activation) {
    case Activation::kNone:
      return x;
    case Activation::kRelu:
      return e.Node("Relu", {x});
    case Activation::kGelu:
      return Gelu(e, x);
    case Activation::kGeluTanh:
      return GeluTanh(e, x);
    case Activation::kSilu:
      return e.Node("Mul", {x, e.Node("Sigmoid", {x})});
    case Activation::kTanh:
      return e.Node("Tanh", {x});
    case Activation::kSigmoid:
      return e.Node("Sigmoid", {x});
  }
  e.Fail("its activation is unknown");
}

void EmitActivation(Emission& e) {
  const Order order = e.CommonOrder();
  e.Result(Activated(e, e.Input(0, order), e.op().as<graph::ActivationAttributes>().activation), order);
}

void EmitAdd(Emission& e) {
  const Order order = e.CommonOrder();
  const std::string sum = e.Node("Add", {e.Input(0, order), e.Input(1, order)});
  e.Result(Activated(e, sum, e.op().as<graph::ActivationAttributes>().activation), order);
}

void EmitSwiGlu(Emission& e) {
  const int64_t half = e.ResultShape().dim(-1);
  const std::vector<std::string> parts =
      e.writer().Nodes("Split", {e.Input(0), e.writer().Integers({half, half})}, {Attribute("axis", -1)}, 2);
  e.Result(e.Node("Mul", {Activated(e, parts[0], Activation::kSilu), parts[1]}));
}

constexpr EmitterRow kRows[] = {
    {OpKind::kActivation, EmitActivation},
    {OpKind::kAdd, EmitAdd},
    {OpKind::kSwiGlu, EmitSwiGlu},
};

}  // namespace

std::span<const EmitterRow> ElementwiseEmitters() { return kRows; }

}  // namespace lockstep::onnx
