#include "trainer/infer/find_fcos_boxes.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/error.h"

namespace lockstep::infer {
namespace {

double Sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

/// An answer of a cell above the least score.
struct Candidate {
  double score = 0;
  int64_t cell = 0;  ///< of its map
  int32_t category = 0;
};

/// Of one map, the best first.
std::vector<Candidate> Candidates(const FcosAnswers& answers, const data::FcosMap& map, double least) {
  constexpr size_t kMost = 1000;
  std::vector<Candidate> candidates;
  for (int64_t cell = 0; cell < map.cells(); ++cell) {
    const auto at = static_cast<size_t>(map.first + cell);
    const double centerness = Sigmoid(answers.centerness[at]);
    const float* logits = answers.classes.data() + at * static_cast<size_t>(answers.categories);
    if (!(centerness > least * least)) continue;  // no class makes up for it
    for (int64_t category = 0; category < answers.categories; ++category) {
      const double score = std::sqrt(Sigmoid(logits[category]) * centerness);
      if (score > least) candidates.push_back({score, cell, static_cast<int32_t>(category)});
    }
  }
  std::stable_sort(candidates.begin(), candidates.end(),
                   [](const Candidate& a, const Candidate& b) { return a.score > b.score; });
  if (candidates.size() > kMost) candidates.resize(kMost);
  return candidates;
}

FoundBox BoxOf(const Candidate& candidate, const FcosAnswers& answers, const data::FcosMap& map,
               const data::Rectangle& picture) {
  const float* sides = answers.sides.data() + (map.first + candidate.cell) * 4;
  const auto away = [&](int side) {
    return static_cast<double>(std::max(sides[side], 0.0f)) * static_cast<double>(map.size);
  };
  const int64_t row = candidate.cell / map.width, column = candidate.cell % map.width;
  const auto x = static_cast<double>(column * map.across), y = static_cast<double>(row * map.down);
  return {std::clamp(x - away(0), picture.left, picture.right),
          std::clamp(y - away(1), picture.top, picture.bottom),
          std::clamp(x + away(2), picture.left, picture.right),
          std::clamp(y + away(3), picture.top, picture.bottom),
          candidate.score,
          candidate.category};
}

}  // namespace

std::vector<FoundBox> FindFcosBoxes(const FcosAnswers& answers, const data::Rectangle& picture,
                                    const FindOptions& options) {
  const auto cells = static_cast<size_t>(data::CellsOf(answers.maps));
  CHECK(answers.classes.size() == cells * static_cast<size_t>(answers.categories) &&
        answers.sides.size() == cells * 4 && answers.centerness.size() == cells);
  std::vector<FoundBox> boxes;
  for (const data::FcosMap& map : answers.maps)
    for (const Candidate& candidate : Candidates(answers, map, options.least))
      boxes.push_back(BoxOf(candidate, answers, map, picture));
  std::stable_sort(boxes.begin(), boxes.end(), [](const FoundBox& a, const FoundBox& b) { return a.score > b.score; });
  return WithoutOverlaps(boxes, options);
}

}  // namespace lockstep::infer
