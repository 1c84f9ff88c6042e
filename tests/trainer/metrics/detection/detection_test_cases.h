// Random cases and what other programs make of them: expected_detections.json.
#pragma once

#include <cstdint>
#include <fstream>
#include <nlohmann/json.hpp>
#include <vector>

#include "trainer/metrics/detection/matches.h"

namespace lockstep::metrics {

struct DetectionCase {
  int categories = 0;
  std::vector<std::vector<Truth>> truths;          ///< of each image
  std::vector<std::vector<Detection>> detections;  ///< of each image
  nlohmann::json expected;
};

/// What `compare_pycocotools.py --write` wrote.
inline std::vector<DetectionCase> ReadDetectionCases() {
  std::ifstream file(LOCKSTEP_SOURCE_DIR "/tests/trainer/metrics/detection/expected_detections.json");
  std::vector<DetectionCase> cases;
  const nlohmann::json table = nlohmann::json::parse(file);
  for (const nlohmann::json& row : table["cases"]) {
    DetectionCase& golden = cases.emplace_back();
    golden.categories = row["categories"];
    golden.truths.resize(row["images"].get<size_t>());
    golden.detections.resize(golden.truths.size());
    for (const nlohmann::json& item : row["truths"])
      golden.truths[item[0].get<size_t>()].push_back({.box = {item[1], item[2], item[3], item[4]},
                                                      .category = item[5],
                                                      .area = item[6],
                                                      .crowd = item[7].get<int>() != 0});
    for (const nlohmann::json& item : row["detections"])
      golden.detections[item[0].get<size_t>()].push_back(
          {.box = {item[1], item[2], item[3], item[4]}, .category = item[5], .score = item[6]});
    golden.expected = row["expected"];
  }
  return cases;
}

}  // namespace lockstep::metrics
