// A run as HTML: what it is, what came of it, its curves, where its time went.
#pragma once

#include <string>
#include <vector>

#include "launch/page/html_writer.h"
#include "launch/report/read_run.h"

namespace lockstep::launch {

/// "step 500 of 500, epoch 20"
std::string ProgressText(const RunRecord& run);

/// State, words on its end, result line, and what was trained on what.
void DrawHead(const RunRecord& run, HtmlWriter& html);
/// Whether it overfits, and what could not be read.
void DrawJudgement(const RunRecord& run, HtmlWriter& html);
/// All that is known beside the head: curves, times, starts, answers, recipe.
void DrawWholeRun(const RunRecord& run, HtmlWriter& html);
/// For a page of several runs, folded: head, loss, recipe.
void DrawFoldedRun(const RunRecord& run, HtmlWriter& html);

}  // namespace lockstep::launch
