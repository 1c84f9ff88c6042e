#include "data/boxes/box_data.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

namespace lockstep::data {

void MatchCategories(const std::vector<std::string>& expected, BoxData& data) {
  std::vector<std::optional<int32_t>> place_of;
  std::vector<int64_t> ids(expected.size(), -1);
  for (size_t category = 0; category < data.categories.size(); ++category) {
    const std::string& name = data.categories[category];
    const auto found = std::find(expected.begin(), expected.end(), name);
    if (found == expected.end()) {
      data.problems.Add(BoxProblem::kOtherName, fmt::format("\"{}\"", name));
      place_of.push_back(std::nullopt);
      continue;
    }
    place_of.push_back(static_cast<int32_t>(found - expected.begin()));
    ids[*place_of.back()] = data.category_ids[category];
  }
  for (AnnotatedImage& image : data.images) {
    std::erase_if(image.boxes, [&](const BoxAnnotation& box) { return !place_of[box.category]; });
    for (BoxAnnotation& box : image.boxes) box.category = *place_of[box.category];
  }
  data.categories = expected;
  data.category_ids = std::move(ids);
}

}  // namespace lockstep::data
