// Products of matrices: layers where one is a weight.
#include <fmt/format.h>

#include <algorithm>

#include "trainer/onnx/convert/emit.h"
#include "trainer/onnx/convert/layer_weights.h"
#include "trainer/onnx/fold/einsum.h"

namespace lockstep::onnx {
namespace {

/// The one Add that reads `product` and gives it a bias [features]; nullptr: there is none.
const NodeProto* BiasOf(const GraphView& view, const std::string& product, int64_t features) {
  const std::vector<const NodeProto*>& readers = view.ReadersOf(product);
  if (readers.size() != 1 || readers[0]->op_type() != "Add" || view.IsOutput(product)) return nullptr;
  const std::string& other = readers[0]->input(readers[0]->input(0) == product ? 1 : 0);
  const Known* known = view.Find(other, 0);
  const bool fits = known != nullptr && known->dims == Dims{features} && !SourceOf(view, other).initializer.empty();
  return fits ? readers[0] : nullptr;
}

void EmitLinear(Conversion& to, const OpNode& node, const LayerWeight& weight, int64_t features, const NodeProto* add,
                std::string bias) {
  const std::string x = to.Floats(node.input(0));
  if (add != nullptr) bias = add->input(add->input(0) == node.output() ? 1 : 0);
  models::Node layer = NodeReading({x});
  std::vector<LayerWeight> weights = {weight};
  if (!bias.empty() && to.Uniform(bias) == 0.0) bias.clear();
  if (!bias.empty()) weights.push_back({"bias", bias});
  const std::string name = TakeWeights(to, node, "linear", weights, layer);
  layer.mutable_linear()->set_features(static_cast<uint32_t>(features));
  if (bias.empty()) layer.mutable_linear()->set_bias(false);
  const Ref ref{to.Emit(std::move(layer), name)};
  to.Bind(node.output(), ref);
  if (add == nullptr) return;
  to.Bind(add->output(0), ref);
  to.MarkDone(*add);
}

/// Whether a product with it is a linear layer: nn.Linear's, whose weight is stored transposed, or one whose name is
/// lost, so that it may be stored as a linear layer wants it.
bool IsLinearWeight(const WeightSource& source) {
  return !source.initializer.empty() && (source.turned || !IsGivenName(source.initializer));
}

/// A vector becomes a matrix of one row or column.
std::string AsMatrix(Conversion& to, const OpNode& node, size_t index) {
  const std::string x = to.Floats(node.input(index));
  if (node.rank(index) > 1) return x;
  const Dims from = to.OpenShape(node.input(index));
  return Reshaped(to, x, from, index == 0 ? Dims{1, from[0]} : Dims{from[0], 1}, to.NameFor(node, "as_matrix"));
}

void ConvertMatMul(Conversion& to, const OpNode& node) {
  if (node.rank(1) == 2 && node.rank(0) >= 2) {
    const WeightSource source = SourceOf(to.view(), node.input(1));
    if (IsLinearWeight(source) && !to.view().IsOfWeights(node.input(0))) {
      const int64_t features = node.input_dims(1)[1];
      return EmitLinear(to, node, {.suffix = "weight", .value = node.input(1), .turned = true}, features,
                        BiasOf(to.view(), node.output(), features), "");
    }
  }
  const std::string name = to.NameFor(node, "matmul");
  models::Node product = NodeReading({AsMatrix(to, node, 0), AsMatrix(to, node, 1)});
  product.mutable_matmul();
  const std::string y = to.Emit(std::move(product), name);
  if (node.rank(0) > 1 && node.rank(1) > 1) return to.Bind(node.output(), {y});
  to.Bind(node.output(), {Reshaped(to, y, {}, to.OpenShape(node.output()), name + ".as_vector")});
}

/// alpha a b + beta c.
void ConvertGemm(Conversion& to, const OpNode& node) {
  const Attributes& attributes = node.attributes();
  const double alpha = attributes.Float("alpha", 1), beta = attributes.Float("beta", 1);
  const bool turn_a = attributes.Int("transA", 0) != 0, turn_b = attributes.Int("transB", 0) != 0;
  const int64_t features = node.output_dims()[1];
  const bool with_c = node.Has(2) && beta != 0;
  const WeightSource source = SourceOf(to.view(), node.input(1));
  const bool linear = alpha == 1 && (beta == 1 || !with_c) && !turn_a &&
                      (!with_c || node.input_dims(2) == Dims{features}) && !to.view().IsOfWeights(node.input(0)) &&
                      (turn_b ? to.view().IsOfWeights(node.input(1)) : IsLinearWeight(source));
  if (linear)
    return EmitLinear(to, node, {.suffix = "weight", .value = node.input(1), .turned = !turn_b}, features, nullptr,
                      with_c ? node.input(2) : "");
  const std::string name = to.NameFor(node, "gemm");
  models::Node product = NodeReading({to.Floats(node.input(0)), to.Floats(node.input(1))});
  product.mutable_matmul();
  if (turn_a) product.mutable_matmul()->set_transpose_a(true);
  if (turn_b) product.mutable_matmul()->set_transpose_b(true);
  if (alpha != 1) product.mutable_matmul()->set_scale(alpha);
  std::string y = to.Emit(std::move(product), with_c ? name + ".product" : name);
  if (with_c) {
    std::string c = to.Floats(node.input(2));
    if (beta != 1) c = WithNumber(to, c, &models::Node::mutable_multiply, beta, name + ".scaled");
    y = WithOther(to, y, &models::Node::mutable_add, c, name);
  }
  to.Bind(node.output(), {y});
}

/// An operand of an Einsum on its way: its letters in order, and their sizes at both sizes of the batch.
struct Term {
  std::string name;
  std::vector<int> letters;
};
using Letters = std::vector<int>;

bool HasLetter(const Letters& letters, int letter) {
  return std::find(letters.begin(), letters.end(), letter) != letters.end();
}

class EinsumConversion {
 public:
  EinsumConversion(Conversion& to, const OpNode& node) : to_(to), node_(node), name_(to.NameFor(node, "einsum")) {
    for (const int which : {0, 1}) {
      std::vector<Dims> shapes;
      for (size_t i = 0; i < node.inputs(); ++i) shapes.push_back(node.step(which).DimsOf(i));
      terms_[which] = ParseEinsum(node.attributes().String("equation", ""), shapes);
    }
  }

  std::string Run() {
    if (node_.inputs() > 2) throw Unsupported("more than two operands");
    Term x = Operand(0);
    if (node_.inputs() == 1) return Arrange(x, terms_[0].output);
    return Product(x, Operand(1));
  }

 private:
  /// Without dimensions that nobody else has.
  Term Operand(size_t index) {
    Term term{to_.Floats(node_.input(index)), terms_[0].inputs[index]};
    std::vector<size_t> summed;
    Letters left;
    for (size_t d = 0; d < term.letters.size(); ++d) {
      const int letter = term.letters[d];
      if (std::count(term.letters.begin(), term.letters.end(), letter) > 1) throw Unsupported("a diagonal");
      const bool elsewhere = HasLetter(terms_[0].output, letter) ||
                             (node_.inputs() == 2 && HasLetter(terms_[0].inputs[1 - index], letter));
      if (elsewhere)
        left.push_back(letter);
      else
        summed.push_back(d);
    }
    term.name = ReducedTo(to_, term.name, models::Reduce::SUM, summed, false, name_ + ".sum");
    term.letters = left;
    return term;
  }

  std::string Arrange(const Term& term, const Letters& order) {
    Dims places;
    for (const int letter : order)
      places.push_back(std::find(term.letters.begin(), term.letters.end(), letter) - term.letters.begin());
    return Transposed(to_, term.name, places, name_ + ".order");
  }

  /// The shape of these groups of letters, each as one dimension or as its own.
  Dims Shape(const std::vector<Letters>& groups, bool joined) const {
    Dims shapes[2];
    for (const int which : {0, 1})
      for (const Letters& group : groups) {
        int64_t size = 1;
        for (const int letter : group) {
          size *= terms_[which].sizes.at(letter);
          if (!joined) shapes[which].push_back(terms_[which].sizes.at(letter));
        }
        if (joined) shapes[which].push_back(size);
      }
    return to_.OpenShape(shapes[0], shapes[1]);
  }

  /// [shared, rows, summed] times [shared, summed, columns].
  std::string Product(const Term& a, const Term& b) {
    Letters shared, rows, columns, summed;
    for (const int letter : a.letters)
      (HasLetter(b.letters, letter) ? (HasLetter(terms_[0].output, letter) ? shared : summed) : rows).push_back(letter);
    for (const int letter : b.letters)
      if (!HasLetter(a.letters, letter)) columns.push_back(letter);
    const auto all = [](std::initializer_list<Letters> groups) {
      Letters letters;
      for (const Letters& group : groups) letters.insert(letters.end(), group.begin(), group.end());
      return letters;
    };
    const auto matrix = [&](const Term& term, const Letters& first, const Letters& second) {
      const std::string ordered = Arrange(term, all({shared, first, second}));
      return Reshaped(to_, ordered, Shape({all({shared, first, second})}, false), Shape({shared, first, second}, true),
                      name_ + ".matrix");
    };
    models::Node product = NodeReading({matrix(a, rows, summed), matrix(b, summed, columns)});
    product.mutable_matmul();
    const std::string y = to_.Emit(std::move(product), name_);
    const Letters made = all({shared, rows, columns});
    const std::string parts =
        Reshaped(to_, y, Shape({shared, rows, columns}, true), Shape({made}, false), name_ + ".parts");
    return Arrange({parts, made}, terms_[0].output);
  }

  Conversion& to_;
  const OpNode& node_;
  const std::string name_;
  EinsumTerms terms_[2];
};

void ConvertEinsum(Conversion& to, const OpNode& node) { to.Bind(node.output(), {EinsumConversion(to, node).Run()}); }

}  // namespace

ConvertRules ProductConversions() {
  return {{"Einsum", ConvertEinsum}, {"Gemm", ConvertGemm}, {"MatMul", ConvertMatMul}};
}

}  // namespace lockstep::onnx
