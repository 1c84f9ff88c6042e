// Small worlds for tests of models: configurations from text, shapes of data, counts.
#pragma once

#include <google/protobuf/text_format.h>

#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "trainer/models/models.h"

namespace lockstep::models {

inline ModelConfig Parse(const std::string& text) {
  ModelConfig config;
  CHECK(google::protobuf::TextFormat::ParseFromString(text, &config), "{}", text);
  return config;
}

inline DataShape Images(int64_t height, int64_t width, int64_t channels, int classes = 10) {
  return {.input = "image", .sample = {height, width, channels}, .classes = classes};
}

inline DataShape Boxes(int64_t height, int64_t width, int classes) {
  return {.input = "image", .sample = {height, width, 3}, .classes = classes, .boxes = true};
}

inline DataShape Features(int64_t n, int classes, int targets = 0) {
  return {.input = "features", .sample = {n}, .classes = classes, .targets = targets};
}

/// Thirteen features, three classes, and columns of words that are embedded.
inline DataShape Embedded(std::vector<int> categories) {
  DataShape data = Features(13, 3);
  data.categories = std::move(categories);
  return data;
}

inline int64_t CountParameters(const graph::Model& model) {
  int64_t count = 0;
  for (const graph::ValueId id : model.graph.parameters) count += model.graph.value(id).shape.size();
  return count;
}

/// "name [shape]" of every parameter and statistic, in creation order.
inline std::vector<std::string> Names(const graph::Model& model) {
  std::vector<std::string> names;
  for (const graph::ParameterInfo& info : model.parameters) {
    const graph::Value& value = model.graph.value(info.value);
    names.push_back(value.name + " " + value.shape.ToString());
  }
  return names;
}

}  // namespace lockstep::models
