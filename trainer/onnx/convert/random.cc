// Random numbers: dropout as PyTorch writes it where it isn't the operator Dropout.
#include <cmath>

#include "trainer/onnx/convert/emit.h"

namespace lockstep::onnx {
namespace {

/// The one reader of a value beside those that take its type or shape; nullptr: there is none such.
const NodeProto* OnlyReader(const GraphView& view, const std::string& value) {
  const NodeProto* only = nullptr;
  for (const NodeProto* reader : view.ReadersOf(value)) {
    if (view.IsConstant(reader->output(0))) continue;
    if (only != nullptr) return nullptr;
    only = reader;
  }
  return view.IsOutput(value) ? nullptr : only;
}

/// `uniform < keep`, cast to floats, divided by `keep`: what is multiplied with x, in channel dropout and stochastic
/// depth in a shape of its own.
struct Noise {
  double keep = 0;
  bool divided = false;
  std::vector<const NodeProto*> nodes;  ///< from the random numbers to the last
};

Noise NoiseFrom(Conversion& to, const OpNode& random) {
  const GraphView& view = to.view();
  Noise noise;
  const NodeProto* next = OnlyReader(view, random.output());
  if (next == nullptr || next->op_type() != "Less" || next->input(0) != random.output())
    throw Unsupported("random numbers that are no dropout");
  const std::optional<double> keep = to.Uniform(next->input(1));
  if (!keep || *keep <= 0 || *keep > 1) throw Unsupported("random numbers that are no dropout");
  noise.keep = *keep;
  for (; next != nullptr; next = OnlyReader(view, next->output(0))) {
    const std::string& op = next->op_type();
    const bool cast = op == "Less" || op == "Cast" || op == "CastLike" || op == "Identity";
    if (!cast && op != "Div") break;
    if (op == "Div") {
      const std::optional<double> divisor = to.Uniform(next->input(1));
      if (!divisor || std::abs(*divisor - noise.keep) > 1e-6) break;
      noise.divided = true;
    }
    noise.nodes.push_back(next);
    if (noise.divided) break;
  }
  return noise;
}

std::string DropoutOf(Conversion& to, const std::string& x, double keep, const std::string& name) {
  models::Node dropout = NodeReading({x});
  dropout.set_dropout(Decimal(static_cast<float>(1 - keep)));
  ++to.counts().dropouts;
  return to.Emit(std::move(dropout), name);
}

void ConvertRandomUniform(Conversion& to, const OpNode& node) {
  if (node.attributes().Float("low", 0) != 0 || node.attributes().Float("high", 1) != 1)
    throw Unsupported("random numbers that are no dropout");
  const Noise noise = NoiseFrom(to, node);
  for (const NodeProto* done : noise.nodes) to.MarkDone(*done);
  const std::string& last = noise.nodes.back()->output(0);
  const std::string name = to.NameFor(node, "dropout");
  const NodeProto* product = OnlyReader(to.view(), last);
  const Dims shape = to.OpenShape(node.output());
  if (noise.divided && product != nullptr && product->op_type() == "Mul") {
    const std::string& x = product->input(product->input(0) == last ? 1 : 0);
    if (to.OpenShape(x) == shape && to.IsBound(x)) {
      to.MarkDone(*product);
      return to.Bind(product->output(0), {DropoutOf(to, to.Floats(x), noise.keep, name)});
    }
  }
  // Of ones in a shape of its own, which is broadcast to x.
  Dims one = shape;
  for (int64_t& dim : one) dim = dim == -1 ? 1 : dim;
  const std::string ones =
      to.EmitBuffer(name + ".ones", one, std::vector<float>(static_cast<size_t>(ElementsOf(one)), 1.0F));
  std::string y = DropoutOf(to, Expanded(to, ones, one, shape, name + ".of_batch"), noise.keep, name);
  if (!noise.divided) y = WithNumber(to, y, &models::Node::mutable_multiply, noise.keep, name + ".undivided");
  to.Bind(last, {y});
}

}  // namespace

ConvertRules RandomConversions() { return {{"RandomUniformLike", ConvertRandomUniform}}; }

}  // namespace lockstep::onnx
