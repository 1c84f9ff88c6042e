// Measures of answers as text for terminals: aligned columns, four decimals; a number that is not defined is "-".
#pragma once

#include <span>
#include <string>

#include "trainer/metrics/classification.h"
#include "trainer/metrics/detection/measure_detections.h"
#include "trainer/metrics/regression.h"

namespace lockstep::metrics {

/// A row a class and the averages, a line with what is of all, and which classes were taken for which: as a matrix of
/// up to 12 classes, else the ten most frequent confusions. Of more than 50 classes the 20 with the lowest F1 have
/// rows. `names`: one a class, or none for numbers; long ones are cut.
std::string FormatTable(const Classification& classification, std::span<const std::string> names);

/// A row a target, and their mean where there are several. `names`: one a target, or none for numbers.
std::string FormatTable(const Regression& regression, std::span<const std::string> names);

/// COCO's twelve numbers, a row a category, and what kinds of errors there are.
std::string FormatTable(const DetectionMeasures& detection, std::span<const std::string> names);

}  // namespace lockstep::metrics
