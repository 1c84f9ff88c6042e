// The families mlp and convnet.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "trainer/models/blocks.h"

namespace lockstep::models {

using graph::Builder;
using graph::ValueId;

namespace {

/// Hidden layer number `index` (from 0), "fc1" and so on.
ValueId HiddenLayer(Builder& builder, ValueId x, int index, uint64_t width, Activation activation,
                    const std::string& family) {
  x = AddLinear(builder, x, fmt::format("fc{}", index + 1), width, true, fmt::format("{}.hidden[{}]", family, index));
  return builder.Activate(x, ToGraph(activation));
}

ValueId OutputLayer(Builder& builder, ValueId x, int hidden, int outputs, const std::string& family) {
  return AddLinear(builder, x, fmt::format("fc{}", hidden + 1), static_cast<uint64_t>(outputs), true, family);
}

ValueId Stage(Builder& builder, ValueId x, int index, const ConvStage& stage, Activation activation) {
  const std::string field = fmt::format("model.convnet.stages[{}]", index);
  const auto size = [&](const char* name, uint64_t value, uint64_t otherwise) {
    RequireRange(field + name, value, 0, kMaxWindow);
    return static_cast<int>(value == 0 ? otherwise : value);
  };
  const int kernel = size(".kernel", stage.kernel(), 3);
  const ConvShape conv = {.channels = stage.channels(),
                          .kernel = kernel,
                          .stride = size(".stride", stage.stride(), 1),
                          .padding = stage.has_padding() ? size(".padding", stage.padding(), 0) : kernel / 2,
                          .bias = !stage.batch_norm()};
  x = AddConv(builder, x, fmt::format("conv{}", index + 1), conv, field);
  if (stage.batch_norm()) x = AddBatchNorm(builder, x, fmt::format("bn{}", index + 1), {}, field + ".batch_norm");
  x = builder.Activate(x, ToGraph(activation));
  if (stage.pool() == 0) return x;
  const int pool = size(".pool", stage.pool(), 0);
  return AddPool(builder, x, PoolKind::kMax, {.kernel = pool, .stride = pool}, field + ".pool");
}

/// fastai's emb_sz_rule, for the column of most words.
int64_t EmbeddingWidth(const std::vector<int>& words, const Mlp& config) {
  RequireRange("model.mlp.embedding", config.embedding(), 0, kMaxWidth);
  if (config.embedding() > 0) return config.embedding();
  const double most = *std::max_element(words.begin(), words.end());
  return std::min<int64_t>(600, std::lround(1.6 * std::pow(most, 0.56)));
}

}  // namespace

// One table for all columns. It starts uniform within 1 / sqrt(width), as Gorishniy et al. 2021 ("Revisiting deep
// learning models for tabular data") have it.
ValueId EmbedCategories(Builder& builder, ValueId x, const std::vector<int>& words, const Mlp& config) {
  const int64_t width = EmbeddingWidth(words, config), columns = static_cast<int64_t>(words.size());
  const ValueId ids = builder.Input("categories", {columns}, DType::kI32);
  const graph::Initializer start{.uniform = static_cast<float>(1 / std::sqrt(static_cast<double>(width)))};
  const ValueId table = builder.Parameter(
      "categories.weight", {std::accumulate(words.begin(), words.end(), int64_t{0}), width}, start, /*decay=*/true);
  const ValueId embedded = builder.Embedding(ids, "categories", table, graph::kNoValue);
  return builder.Concat(builder.Flatten(x), builder.Reshape(embedded, {builder.batch(), columns * width}));
}

ValueId BuildMlp(Builder& builder, ValueId x, const Mlp& config, int outputs) {
  if (config.hidden_size() == 0) {
    Fail("model.mlp.hidden", "is required",
         "without hidden layers: layers { layer { flatten {} } layer { linear {} } }");
  }
  RequireProbability("model.mlp.dropout", config.dropout());
  x = builder.Flatten(x);
  for (int i = 0; i < config.hidden_size(); ++i) {
    x = HiddenLayer(builder, x, i, config.hidden(i), config.activation(), "model.mlp");
    if (config.dropout() > 0) x = builder.Dropout(x, static_cast<float>(config.dropout()));
  }
  return OutputLayer(builder, x, config.hidden_size(), outputs, "model.mlp");
}

ValueId BuildConvNet(Builder& builder, ValueId x, const ConvNet& config, int outputs) {
  if (config.stages_size() == 0)
    Fail("model.convnet.stages", "is required", "for fully connected layers alone use mlp");
  RequireProbability("model.convnet.dropout", config.dropout());
  if (config.dropout() > 0 && config.hidden_size() == 0) {
    Fail("model.convnet.dropout", "comes after the last hidden layer, and there is none", "add hidden");
  }
  for (int i = 0; i < config.stages_size(); ++i) x = Stage(builder, x, i, config.stages(i), config.activation());
  x = builder.Flatten(x);
  for (int i = 0; i < config.hidden_size(); ++i) {
    x = HiddenLayer(builder, x, i, config.hidden(i), config.activation(), "model.convnet");
  }
  if (config.dropout() > 0) x = builder.Dropout(x, static_cast<float>(config.dropout()));
  return OutputLayer(builder, x, config.hidden_size(), outputs, "model.convnet");
}

}  // namespace lockstep::models
