// A study as text: for terminals, threads, spreadsheets, scripts, and Extra-P.
#pragma once

#include <string>
#include <vector>

#include "launch/page/page.h"
#include "launch/scale/study_folder.h"
#include "launch/scale/summary.h"

namespace lockstep::launch {

/// Points with speed, interval, speed-up and efficiency; failed points with their reason.
TextTable PointTable(const StudyFacts& facts, const StudySummary& summary);
/// Milliseconds of a step by phase, mean over ranks.
TextTable PhaseTable(const StudySummary& summary);
/// The peer's points beside ours; empty without a peer.
TextTable PeerTable(const StudySummary& summary);
/// What is to be said of a study in sentences: weights, noise, base, model, slow ranks, obstacles.
std::vector<std::string> Findings(const StudyFacts& facts, const StudySummary& summary);
/// "strong: the same recipe, the same steps and weights at every number of ranks".
std::string ModeSentence(const StudyFacts& facts);

/// Columns aligned by blanks.
std::string AlignedTable(const TextTable& table);
std::string MarkdownReport(const StudyFacts& facts, const StudySummary& summary);
/// A row a run, failed ones too.
std::string RunsCsv(const StudyFacts& facts, const std::vector<RunResult>& results);
std::string JsonReport(const StudyFacts& facts, const StudySummary& summary);
/// Extra-P's text format: a step's seconds by ranks, all repeats. Of points without settings of --vary.
std::string ExtraPText(const StudyFacts& facts, const StudySummary& summary);

}  // namespace lockstep::launch
