// Measures for compare_sklearn.py. Standard input holds cases in binary, native order: samples, width (int64), then of
// a classification (width > 0) float32 probabilities [samples][width] and int32 labels [samples], of a regression
// (-width targets) float64 predictions and expected numbers [samples][targets]. A JSON object a case comes out.
#include <fmt/format.h>

#include <cstdint>
#include <iostream>
#include <nlohmann/json.hpp>
#include <vector>

#include "trainer/metrics/classification.h"
#include "trainer/metrics/regression.h"

namespace {

using namespace lockstep::metrics;
using Json = nlohmann::json;

template <typename T>
std::vector<T> Read(int64_t count) {
  std::vector<T> values(static_cast<size_t>(count));
  std::cin.read(reinterpret_cast<char*>(values.data()), static_cast<std::streamsize>(values.size() * sizeof(T)));
  return values;
}

Json ToJson(const Classification& result) {
  Json object = {{"confusion", result.confusion},
                 {"macro", {result.macro.precision, result.macro.recall, result.macro.f1}},
                 {"weighted", {result.weighted.precision, result.weighted.recall, result.weighted.f1}},
                 {"accuracy", result.accuracy},
                 {"balanced_accuracy", result.balanced_accuracy},
                 {"top5", result.top5},
                 {"auc", result.auc},
                 {"calibration_error", result.calibration_error},
                 {"log_loss", result.log_loss}};
  for (const ClassNumbers& numbers : result.classes) {
    object["support"].push_back(numbers.support);
    object["precision"].push_back(numbers.precision);
    object["recall"].push_back(numbers.recall);
    object["f1"].push_back(numbers.f1);
    object["class_auc"].push_back(numbers.auc);
  }
  return object;
}

Json ToJson(const Regression& result) {
  Json object = {{"mean", {result.mean.mse, result.mean.rmse, result.mean.mae, result.mean.r2}}};
  for (const RegressionNumbers& numbers : result.targets)
    object["targets"].push_back({numbers.mse, numbers.rmse, numbers.mae, numbers.r2});
  return object;
}

}  // namespace

int main() {
  for (;;) {
    const std::vector<int64_t> head = Read<int64_t>(2);
    if (!std::cin) return 0;
    const int64_t samples = head[0], width = head[1];
    if (width > 0) {
      const std::vector<float> probabilities = Read<float>(samples * width);
      const std::vector<int32_t> labels = Read<int32_t>(samples);
      std::cout << ToJson(MeasureClassification(probabilities, labels, static_cast<int>(width))) << "\n";
    } else {
      const std::vector<double> predicted = Read<double>(samples * -width), expected = Read<double>(samples * -width);
      std::cout << ToJson(MeasureRegression(predicted, expected, static_cast<int>(-width))) << "\n";
    }
  }
}
