// What an evaluation says of a detector as JSON, as it stands in evaluation.json and in what `lockstep eval --json`
// prints.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/json_fields.h"
#include "trainer/metrics/detection/measure_detections.h"

namespace lockstep::records {

/// COCO's twelve numbers stand under "coco" by their names; numbers that are not defined are null.
Json DetectionJson(const metrics::DetectionMeasures& measures, const std::vector<std::string>& classes);
/// Nothing where it is no such object. What is missing of it is not defined.
std::optional<metrics::DetectionMeasures> ParseDetection(const Json& object);

}  // namespace lockstep::records
