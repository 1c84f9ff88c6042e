// What evaluation.json says, as HTML: confusion matrix, numbers of each class or target, worst answers.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "launch/page/html_writer.h"
#include "trainer/records/evaluation_record.h"

namespace lockstep::launch {

/// A table of counts whose cells are coloured by their share of the row: what is right in one colour, the rest in
/// another.
void DrawConfusion(const metrics::Classification& classification, const std::vector<std::string>& classes,
                   HtmlWriter& html);

void DrawEvaluation(const records::SplitRecord& split, HtmlWriter& html);
/// The worst answers alone, at most so many, with what makes them the worst.
void DrawWorstAnswers(const records::SplitRecord& split, size_t most, HtmlWriter& html);

}  // namespace lockstep::launch
