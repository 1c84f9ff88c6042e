// What the machine's limits say of a study's steps, as tables and sentences.
#pragma once

#include <string>
#include <vector>

#include "launch/page/page.h"
#include "launch/scale/summary.h"

namespace lockstep::launch {

/// A row a host: a rank's cores, their matrix products and copies, and, of at most eight hosts, rate and latency of the
/// link to each, where it stands beside itself between two of its ranks. Empty where nothing was measured.
TextTable HostTable(const HostLimits& limits);
/// Of more than eight hosts: the slowest links between them. Else empty.
TextTable SlowLinkTable(const HostLimits& limits);
/// Of each point on several hosts: MB that a host sends, the least possible, and how long links alone would take.
TextTable LinkTable(const StudyFacts& facts, const StudySummary& summary);

/// How much of the cores' limits one rank uses, and how the exchange compares with the links'.
std::vector<std::string> LimitFindings(const StudyFacts& facts, const StudySummary& summary);

}  // namespace lockstep::launch
