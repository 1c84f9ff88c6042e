// Resizing of images: by ops of their own where these choose the same places, else as products with matrices that say
// how much of each pixel goes into each. Formulas: the ONNX operator specification, Resize-19.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "trainer/onnx/convert/emit.h"

namespace lockstep::onnx {
namespace {

struct ResizeWords {
  std::string mode, places, nearest;
  double cubic = -0.75;
  bool exclude_outside = false;

  explicit ResizeWords(const Attributes& attributes)
      : mode(attributes.String("mode", "nearest")),
        places(attributes.String("coordinate_transformation_mode", "half_pixel")),
        nearest(attributes.String("nearest_mode", "round_prefer_floor")),
        cubic(attributes.Float("cubic_coeff_a", -0.75)),
        exclude_outside(attributes.Int("exclude_outside", 0) != 0) {}
};

/// The scale of one dimension: as the file says, or what sizes come to.
double ScaleOf(const OpNode& node, size_t d) {
  const double by_sizes = static_cast<double>(node.output_dims()[d]) / static_cast<double>(node.input_dims(0)[d]);
  if (node.Has(3) || !node.Has(2)) return by_sizes;
  Dims axes = node.attributes().Ints("axes");
  const std::vector<double>& scales = node.step().Constant(2).values;
  for (size_t i = 0; i < scales.size(); ++i)
    if (static_cast<size_t>(axes.empty() ? static_cast<int64_t>(i) : Axis(axes.at(i), node.rank())) == d)
      return scales[i];
  return by_sizes;
}

/// Where in the input lies place `x` of the result.
double SourceOf(const ResizeWords& words, double x, double scale, double in, double out) {
  if (words.places == "asymmetric") return x / scale;
  // The standard's size is in * scale, also where that isn't whole.
  if (words.places == "align_corners") return out == 1 ? 0 : x * (in - 1) / (in * scale - 1);
  if (words.places == "tf_half_pixel_for_nn") return (x + 0.5) / scale;
  if (words.places == "pytorch_half_pixel" && out == 1) return 0;
  if (words.places == "half_pixel_symmetric") {
    const double adjustment = out / (scale * in), center = in / 2;
    return center * (1 - adjustment) + (x + 0.5) / scale - 0.5;
  }
  if (words.places != "half_pixel" && words.places != "pytorch_half_pixel")
    throw Unsupported(fmt::format("{} with {}", words.mode, words.places));
  return (x + 0.5) / scale - 0.5;
}

double NearestTo(const ResizeWords& words, double source) {
  if (words.nearest == "floor") return std::floor(source);
  if (words.nearest == "ceil") return std::ceil(source);
  if (words.nearest == "round_prefer_ceil") return std::floor(source + 0.5);
  return std::ceil(source - 0.5);
}

/// Weights of the four pixels around a place that lies `t` behind the second (Keys 1981).
std::array<double, 4> CubicWeights(double t, double a) {
  const auto near = [a](double d) { return ((a + 2) * d - (a + 3)) * d * d + 1; };
  const auto far = [a](double d) { return ((a * d - 5 * a) * d + 8 * a) * d - 4 * a; };
  return {far(1 + t), near(t), near(1 - t), far(2 - t)};
}

/// [out, in]: how much of each place goes into each.
std::vector<float> MatrixOf(const ResizeWords& words, int64_t in, int64_t out, double scale) {
  std::vector<float> matrix(static_cast<size_t>(out * in), 0);
  for (int64_t row = 0; row < out; ++row) {
    std::vector<double> weights(static_cast<size_t>(in), 0);
    const double source =
        SourceOf(words, static_cast<double>(row), scale, static_cast<double>(in), static_cast<double>(out));
    const auto add = [&](double place, double weight) {
      if (words.exclude_outside && (place < 0 || place >= static_cast<double>(in))) return;
      weights[static_cast<size_t>(std::clamp<double>(place, 0, static_cast<double>(in - 1)))] += weight;
    };
    if (words.mode == "nearest") {
      add(NearestTo(words, source), 1);
    } else if (words.mode == "linear") {
      const double before = std::floor(source), t = source - before;
      add(before, 1 - t);
      add(before + 1, t);
    } else {
      const double before = std::floor(source);
      const std::array<double, 4> cubic = CubicWeights(source - before, words.cubic);
      for (int i = 0; i < 4; ++i) add(before - 1 + i, cubic[static_cast<size_t>(i)]);
    }
    double sum = 0;
    for (const double weight : weights) sum += weight;
    for (int64_t column = 0; column < in; ++column)
      matrix[static_cast<size_t>(row * in + column)] = static_cast<float>(weights[static_cast<size_t>(column)] / sum);
  }
  return matrix;
}

/// Whether the op of PyTorch's interpolate does the same.
bool IsOwnOp(const OpNode& node, const ResizeWords& words) {
  const Dims &x = node.input_dims(0), &y = node.output_dims();
  bool whole_factors = true;
  for (size_t d = 2; d < x.size(); ++d) {
    if (std::abs(ScaleOf(node, d) * static_cast<double>(x[d]) - static_cast<double>(y[d])) > 1e-4) return false;
    whole_factors = whole_factors && y[d] % x[d] == 0;
  }
  if (words.mode == "nearest")
    return (words.places == "asymmetric" && words.nearest == "floor") ||
           (whole_factors && words.places.starts_with("half_pixel") && words.nearest.starts_with("round"));
  if (words.mode != "linear") return false;
  return words.places == "align_corners" || words.places == "half_pixel" ||
         (words.places == "pytorch_half_pixel" && y.back() > 1 && y[2] > 1);
}

std::string OwnOp(Conversion& to, const OpNode& node, const ResizeWords& words, const std::string& name) {
  models::Node own = NodeReading({to.Floats(node.input(0))});
  models::Resize& resize = *own.mutable_resize();
  if (words.mode == "linear") resize.set_kind(models::Resize::LINEAR);
  if (words.mode == "linear" && words.places == "align_corners") resize.set_align_corners(true);
  const Dims& y = node.output_dims();
  if (y.size() == 4) resize.set_height(static_cast<uint32_t>(y[2]));
  resize.set_width(static_cast<uint32_t>(y.back()));
  return to.Emit(std::move(own), name);
}

std::string ByMatrices(Conversion& to, const OpNode& node, const ResizeWords& words, const std::string& name) {
  const Dims &x = node.input_dims(0), &y = node.output_dims();
  if (words.mode != "nearest" && words.mode != "linear" && words.mode != "cubic")
    throw Unsupported(fmt::format("mode \"{}\"", words.mode));
  std::string result = to.Floats(node.input(0));
  for (size_t d = x.size(); d-- > 2;) {
    if (x[d] == y[d]) continue;
    const std::string matrix =
        to.EmitBuffer(fmt::format("{}.matrix{}", name, d), {y[d], x[d]}, MatrixOf(words, x[d], y[d], ScaleOf(node, d)));
    const bool along_rows = d == x.size() - 1;
    models::Node product = along_rows ? NodeReading({result, matrix}) : NodeReading({matrix, result});
    product.mutable_matmul();
    if (along_rows) product.mutable_matmul()->set_transpose_b(true);
    result = to.Emit(std::move(product), name);
  }
  return result;
}

void ConvertResize(Conversion& to, const OpNode& node) {
  const ResizeWords words(node.attributes());
  const Dims &x = node.input_dims(0), &y = node.output_dims();
  if (node.rank() < 3 || node.rank() > 4) throw Unsupported(fmt::format("{} spatial dimensions", node.rank() - 2));
  if (x[0] != y[0] || x[1] != y[1]) throw Unsupported("a resize of channels");
  if (node.attributes().Int("antialias", 0) != 0) throw Unsupported("antialias");
  const std::string name = to.NameFor(node, "resize");
  to.Bind(node.output(), {IsOwnOp(node, words) ? OwnOp(to, node, words, name) : ByMatrices(to, node, words, name)});
}

}  // namespace

ConvertRules ResizeConversions() { return {{"Resize", ConvertResize}}; }

}  // namespace lockstep::onnx
