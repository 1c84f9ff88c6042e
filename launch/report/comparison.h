// Several runs beside each other: in what their recipes differ, what came of them, a chart a measure.
#pragma once

#include <vector>

#include "launch/page/html_writer.h"
#include "launch/report/read_run.h"

namespace lockstep::launch {

/// A row a run: fields in which recipes differ, and last numbers. Then a chart for each measure, learning rate and
/// speed, with a colour a run.
void DrawComparison(const std::vector<RunRecord>& runs, HtmlWriter& html);

/// Names that tell the runs apart: the recipe's, and the folder's where names are the same.
void TellApart(std::vector<RunRecord>& runs);

}  // namespace lockstep::launch
