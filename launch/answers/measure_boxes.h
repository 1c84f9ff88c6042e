// Measures and worst pictures of a split whose objects a detector was to find.
#pragma once

#include <span>
#include <vector>

#include "data/dataset.h"
#include "trainer/metrics/detection/matches.h"
#include "trainer/records/evaluation_record.h"

namespace lockstep::launch {

/// Boxes of at least this score are shown to people, and their errors counted.
inline constexpr double kShownScore = 0.3;

/// Fills in measures, and the pictures in which most is missed or wrong, with that drawn into them: what is missed in
/// red, what is wrong in orange, what is right in green. `found`: of each sample. REQUIRES: record.classes are set.
void MeasureBoxes(const data::Dataset& samples, std::span<const std::vector<metrics::Detection>> found,
                  records::SplitRecord& record);

}  // namespace lockstep::launch
