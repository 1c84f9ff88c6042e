// Measures and worst answers of a split, by what a model answers with: classes, values or texts.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "trainer/metrics/metrics.h"
#include "trainer/records/evaluation_record.h"

namespace lockstep::launch {

/// Fills in measures and worst answers. `answers` are probabilities [samples, record.classes].
void MeasureClasses(const data::Dataset& samples, std::span<const float> answers, records::SplitRecord& record);
/// `answers` are values [samples, record.targets], in the targets' unit.
void MeasureValues(const data::Dataset& samples, std::span<const float> answers, records::SplitRecord& record);
/// Fills in the worst of transcripts or translations: `answers` has one for each sample.
void MeasureTexts(const data::Dataset& samples, metrics::Task task, std::span<const std::string> answers,
                  records::SplitRecord& record);

}  // namespace lockstep::launch
