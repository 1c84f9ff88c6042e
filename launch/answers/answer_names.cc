#include "launch/answers/answer_names.h"

#include <fmt/format.h>

namespace lockstep::launch {

std::vector<std::string> ClassNamesOf(const data::DataConfig& data, const models::DataShape& shape) {
  std::vector<std::string> names(data.class_names().begin(), data.class_names().end());
  for (int i = static_cast<int>(names.size()); i < shape.classes; ++i) names.push_back(std::to_string(i));
  return names;
}

std::vector<std::string> TargetNamesOf(const data::DataConfig& data, const models::DataShape& shape) {
  const auto& targets = data.train().csv().targets();
  std::vector<std::string> names(targets.begin(), targets.end());
  for (int i = static_cast<int>(names.size()); i < shape.targets; ++i)
    names.push_back(shape.targets == 1 ? "prediction" : fmt::format("prediction {}", i));
  return names;
}

}  // namespace lockstep::launch
