// A study as one HTML page that stands alone: findings, charts, tables, and how to repeat it.
#pragma once

#include <string>

#include "launch/scale/study_folder.h"
#include "launch/scale/summary.h"

namespace lockstep::launch {

/// `recipe`: its text.
std::string StudyPage(const StudyFacts& facts, const StudySummary& summary, const std::string& recipe);

}  // namespace lockstep::launch
