// A report: runs as one HTML page that needs no other file and no script.
#pragma once

#include <string>
#include <vector>

#include "launch/report/read_run.h"

namespace lockstep::launch {

/// Of one run everything; of several what tells them apart, and each folded. REQUIRES: at least one run.
std::string ReportPage(std::vector<RunRecord> runs);

}  // namespace lockstep::launch
