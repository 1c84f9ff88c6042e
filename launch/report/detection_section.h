// What a detector's boxes are worth, as a section of a page.
#pragma once

#include <string>
#include <vector>

#include "launch/page/html_writer.h"
#include "trainer/metrics/detection/measure_detections.h"

namespace lockstep::launch {

/// COCO's numbers, precision over recall by category, a row a category, and errors by kind.
void DrawDetection(const metrics::DetectionMeasures& of, const std::vector<std::string>& classes, HtmlWriter& html);

}  // namespace lockstep::launch
