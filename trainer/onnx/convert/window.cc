// Convolutions, pools and resizing of images.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "trainer/onnx/convert/emit.h"
#include "trainer/onnx/convert/layer_weights.h"
#include "trainer/onnx/fold/windows.h"

namespace lockstep::onnx {
namespace {

using Numbers = google::protobuf::RepeatedField<uint32_t>;

/// One number where all are the same, nothing where that is `otherwise`.
void SetPair(Numbers* field, const Dims& values, const Dims& otherwise) {
  if (values == otherwise) return;
  const bool same = std::all_of(values.begin(), values.end(), [&](int64_t value) { return value == values[0]; });
  for (const int64_t value : same ? Dims{values[0]} : values) field->Add(static_cast<uint32_t>(value));
}

Dims Halves(Dims kernel) {
  for (int64_t& size : kernel) size /= 2;
  return kernel;
}

void RequireFlat(const OpNode& node) {
  if (node.rank() > 4) throw Unsupported(fmt::format("{} spatial dimensions", node.rank() - 2));
}

/// [0, 0, spatial...]: padding of x [n, c, spatial...].
Dims OfImage(const Dims& spatial) {
  Dims all = {0, 0};
  all.insert(all.end(), spatial.begin(), spatial.end());
  return all;
}

Dims Sum(Dims a, const Dims& b) {
  for (size_t d = 0; d < a.size(); ++d) a[d] += b[d];
  return a;
}

/// PyTorch's exporter writes zeros where a layer has none.
bool HasBias(Conversion& to, const OpNode& node) { return node.Has(2) && to.Uniform(node.input(2)) != 0.0; }

void ConvertConv(Conversion& to, const OpNode& node) {
  RequireFlat(node);
  const Dims& weight = node.input_dims(1);
  Windows windows = WindowsOf(node.step(), Dims(weight.begin() + 2, weight.end()));
  std::string x = to.Floats(node.input(0));
  std::vector<LayerWeight> weights = {{"weight", node.input(1)}};
  const bool bias = HasBias(to, node);
  if (bias) weights.push_back({"bias", node.input(2)});
  models::Node layer;
  if (windows.before != windows.after) {
    x = Padded(to, x, OfImage(windows.before), OfImage(windows.after), 0, to.NameFor(node, "pad"));
    windows.before = Dims(windows.before.size(), 0);
  }
  layer.add_input(x);
  const std::string name = TakeWeights(to, node, "conv", weights, layer);
  models::Conv& conv = *layer.mutable_conv();
  conv.set_channels(static_cast<uint32_t>(weight[0]));
  const Dims ones(windows.kernel.size(), 1);
  SetPair(conv.mutable_kernel(), windows.kernel, Dims(windows.kernel.size(), 3));
  SetPair(conv.mutable_stride(), windows.stride, ones);
  SetPair(conv.mutable_padding(), windows.before, Halves(windows.kernel));
  SetPair(conv.mutable_dilation(), windows.dilation, ones);
  if (const int64_t groups = node.attributes().Int("group", 1); groups != 1)
    conv.set_groups(static_cast<uint32_t>(groups));
  if (!bias) conv.set_bias(false);
  to.Bind(node.output(), {to.Emit(std::move(layer), name)});
}

/// What is cut from the result may differ before and behind: the layer cuts the smaller, a padding below 0 the rest.
void ConvertConvTranspose(Conversion& to, const OpNode& node) {
  RequireFlat(node);
  const Dims& weight = node.input_dims(1);
  const Windows windows = TransposedWindowsOf(node.step(), Dims(weight.begin() + 2, weight.end()));
  const size_t spatial = windows.kernel.size();
  Dims padding(spatial), extra(spatial, 0), cut_before(spatial, 0), cut_after(spatial, 0);
  for (size_t d = 0; d < spatial; ++d) {
    padding[d] = std::max<int64_t>(0, std::min(windows.before[d], windows.after[d]));
    const int64_t plain = (node.input_dims(0)[d + 2] - 1) * windows.stride[d] - 2 * padding[d] +
                          windows.dilation[d] * (windows.kernel[d] - 1) + 1;
    cut_before[d] = -(windows.before[d] - padding[d]);
    // What the layer has more or fewer of behind, it gets by output_padding or by a cut.
    const int64_t behind = windows.output[d] - plain - cut_before[d];
    if (behind > 0 && behind < windows.stride[d])
      extra[d] = behind;
    else
      cut_after[d] = behind;
  }
  models::Node layer = NodeReading({to.Floats(node.input(0))});
  std::vector<LayerWeight> weights = {{"weight", node.input(1)}};
  const bool cut = cut_before != Dims(spatial, 0) || cut_after != Dims(spatial, 0);
  // Places that a padding adds have the bias, too.
  const bool grown = std::any_of(cut_before.begin(), cut_before.end(), [](int64_t d) { return d > 0; }) ||
                     std::any_of(cut_after.begin(), cut_after.end(), [](int64_t d) { return d > 0; });
  if (grown) throw Unsupported("a result larger than what its windows reach");
  const bool bias = HasBias(to, node);
  if (bias) weights.push_back({"bias", node.input(2)});
  const std::string name = TakeWeights(to, node, "conv_transpose", weights, layer);
  models::ConvTranspose& conv = *layer.mutable_conv_transpose();
  const int64_t groups = node.attributes().Int("group", 1);
  conv.set_channels(static_cast<uint32_t>(weight[1] * groups));
  SetPair(conv.mutable_kernel(), windows.kernel, Dims(spatial, 2));
  SetPair(conv.mutable_stride(), windows.stride, windows.kernel);
  SetPair(conv.mutable_padding(), padding, Dims(spatial, 0));
  SetPair(conv.mutable_output_padding(), extra, Dims(spatial, 0));
  SetPair(conv.mutable_dilation(), windows.dilation, Dims(spatial, 1));
  if (groups != 1) conv.set_groups(static_cast<uint32_t>(groups));
  if (!bias) conv.set_bias(false);
  std::string y = to.Emit(std::move(layer), name);
  if (cut) y = Padded(to, y, OfImage(cut_before), OfImage(cut_after), 0, name + ".cut");
  to.Bind(node.output(), {y});
}

void SetPool(models::Pool& pool, const Windows& windows, const Dims& padding) {
  SetPair(pool.mutable_kernel(), windows.kernel, Dims(windows.kernel.size(), 2));
  SetPair(pool.mutable_stride(), windows.stride, windows.kernel);
  SetPair(pool.mutable_padding(), padding, Dims(windows.kernel.size(), 0));
}

void RequireNoIndices(Conversion& to, const OpNode& node) {
  if (node.proto().output_size() > 1 && !node.output(1).empty() && !to.view().ReadersOf(node.output(1)).empty())
    throw Unsupported("places of the largest");
}

Windows PoolWindows(const OpNode& node) {
  RequireFlat(node);
  Windows windows = WindowsOf(node.step(), node.attributes().Ints("kernel_shape"));
  if (windows.dilation != Dims(windows.kernel.size(), 1)) throw Unsupported("a pool with dilation");
  return windows;
}

void ConvertMaxPool(Conversion& to, const OpNode& node) {
  RequireNoIndices(to, node);
  const Windows windows = PoolWindows(node);
  const Dims none(windows.kernel.size(), 0);
  std::string x = to.Floats(node.input(0));
  const Dims after = Sum(windows.after, windows.beyond);
  const bool symmetric = windows.before == after;
  if (!symmetric)
    x = Padded(to, x, OfImage(windows.before), OfImage(after), -std::numeric_limits<double>::infinity(),
               to.NameFor(node, "pad"));
  models::Node pool = NodeReading({x});
  SetPool(*pool.mutable_max_pool(), windows, symmetric ? windows.before : none);
  to.Bind(node.output(), {to.Emit(std::move(pool), to.NameFor(node, "max_pool"))});
}

/// How many places a window's mean is over, along one dimension.
std::vector<double> CountsOf(const Windows& windows, size_t d, int64_t size, bool with_padding) {
  std::vector<double> counts;
  const int64_t least = with_padding ? -windows.before[d] : 0, most = size + (with_padding ? windows.after[d] : 0);
  for (int64_t i = 0; i < windows.output[d]; ++i) {
    const int64_t begin = i * windows.stride[d] - windows.before[d];
    counts.push_back(static_cast<double>(std::min(begin + windows.kernel[d], most) - std::max(begin, least)));
  }
  return counts;
}

/// The mean over whole windows of what is padded with zeros, times what is more than that: windows at the border may
/// count fewer places.
void ConvertAveragePool(Conversion& to, const OpNode& node) {
  const Windows windows = PoolWindows(node);
  const bool with_padding = node.attributes().Int("count_include_pad", 0) != 0;
  const std::string name = to.NameFor(node, "average_pool");
  const std::string x = Padded(to, to.Floats(node.input(0)), OfImage(windows.before),
                               OfImage(Sum(windows.after, windows.beyond)), 0, name + ".pad");
  models::Node pool = NodeReading({x});
  SetPool(*pool.mutable_average_pool(), windows, Dims(windows.kernel.size(), 0));
  std::string y = to.Emit(std::move(pool), name);
  std::vector<float> factors = {1};
  Dims shape = {1, 1};
  for (size_t d = 0; d < windows.kernel.size(); ++d) {
    const std::vector<float> before = std::move(factors);
    factors.clear();
    const std::vector<double> counts = CountsOf(windows, d, node.input_dims(0)[d + 2], with_padding);
    for (const float factor : before)
      for (const double count : counts)
        factors.push_back(factor * static_cast<float>(static_cast<double>(windows.kernel[d]) / count));
    shape.push_back(windows.output[d]);
  }
  if (std::any_of(factors.begin(), factors.end(), [](float factor) { return factor != 1; })) {
    const std::string factor = to.EmitBuffer(name + ".factor", shape, std::move(factors));
    y = WithOther(to, y, &models::Node::mutable_multiply, factor, name + ".border");
  }
  to.Bind(node.output(), {y});
}

void ConvertGlobalPool(Conversion& to, const OpNode& node) {
  std::vector<size_t> axes;
  for (size_t d = 2; d < node.input_dims(0).size(); ++d) axes.push_back(d);
  const bool mean = node.op() == "GlobalAveragePool";
  to.Bind(node.output(), {ReducedTo(to, to.Floats(node.input(0)), mean ? models::Reduce::MEAN : models::Reduce::MAX,
                                    axes, true, to.NameFor(node, "pool"))});
}

}  // namespace

ConvertRules WindowConversions() {
  return {
      {"AveragePool", ConvertAveragePool},     {"Conv", ConvertConv},
      {"ConvTranspose", ConvertConvTranspose}, {"GlobalAveragePool", ConvertGlobalPool},
      {"GlobalMaxPool", ConvertGlobalPool},    {"MaxPool", ConvertMaxPool},
  };
}

}  // namespace lockstep::onnx
