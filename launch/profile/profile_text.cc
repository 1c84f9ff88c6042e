#include "launch/profile/profile_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "base/json_fields.h"
#include "launch/scale/study_text.h"

namespace lockstep::launch {
namespace {

/// Of a step, by executor: what tables count in.
double Parts(const ProfileSummary& summary) {
  return static_cast<double>(summary.steps) * static_cast<double>(std::max(1, summary.executors));
}

std::string Share(double part, double whole) { return whole > 0 ? fmt::format("{:.1f}%", 100 * part / whole) : ""; }

std::string Milliseconds(double seconds) { return fmt::format("{:.3f}", 1e3 * seconds); }

/// 10^9 a second; nothing where there are none.
std::string Rate(double units, double seconds) {
  return units > 0 && seconds > 0 ? fmt::format("{:.2f}", 1e-9 * units / seconds) : "";
}

std::string ShareOfLimit(double units, double seconds, double limit) {
  return units > 0 && seconds > 0 ? Share(1e-9 * units / seconds, limit) : "";
}

TextTable OpTable(const ProfileSummary& summary, const ExecutorLimits& limits, const std::vector<OpUse>& uses,
                  size_t most) {
  const bool single = !uses.empty() && !uses.front().name.empty();
  TextTable table{.heading = {single ? "op" : "kind of op", "pass", "runs a step", "ms a step", "of step", "GFLOP/s",
                              "of peak", "GB/s", "of copies"},
                  .rows = {}};
  for (size_t i = 0; i < std::min(most, uses.size()); ++i) {
    const OpUse& use = uses[i];
    table.rows.push_back({single ? use.name : use.kind, use.forward ? "forward" : "backward",
                          fmt::format("{:.4g}", static_cast<double>(use.runs) / static_cast<double>(summary.steps)),
                          Milliseconds(use.seconds / Parts(summary)),
                          Share(use.seconds / Parts(summary), summary.step_seconds), Rate(use.flops, use.seconds),
                          ShareOfLimit(use.flops, use.seconds, limits.matrix_gflops), Rate(use.bytes, use.seconds),
                          ShareOfLimit(use.bytes, use.seconds, limits.copy_gb_s)});
  }
  return table;
}

TextTable PhaseTable(const char* thread, const ProfileSummary& summary, const std::vector<PhaseUse>& phases) {
  TextTable table{.heading = {thread, "ms a step", "of step"}, .rows = {}};
  if (summary.ranks > 1) table.heading.insert(table.heading.end(), {"least", "most", "on rank"});
  for (const PhaseUse& phase : phases) {
    table.rows.push_back({phase.name, Milliseconds(phase.mean), Share(phase.mean, summary.step_seconds)});
    if (summary.ranks > 1)
      table.rows.back().insert(table.rows.back().end(),
                               {Milliseconds(phase.least), Milliseconds(phase.most), std::to_string(phase.most_rank)});
  }
  return table;
}

std::string Heading(const ProfileSummary& summary, const ExecutorLimits& limits) {
  std::string text =
      fmt::format("steps {} to {} on {} rank{} with {} executor{} in all: {:.3f} ms a step", summary.first_step,
                  summary.first_step + summary.steps - 1, summary.ranks, summary.ranks == 1 ? "" : "s",
                  summary.executors, summary.executors == 1 ? "" : "s", 1e3 * summary.step_seconds);
  if (summary.flops > 0 && summary.step_seconds > 0)
    text += fmt::format(", {:.4g} GFLOP a step, {:.4g} GFLOP/s", 1e-9 * summary.flops,
                        1e-9 * summary.flops / summary.step_seconds);
  text += "\n";
  if (limits.matrix_gflops > 0)
    text += fmt::format(
        "peak, measured here with all executors at work: {:.4g} GFLOP/s of f32 matrix products and {:.4g} GB/s of "
        "copies an executor\n",
        limits.matrix_gflops, limits.copy_gb_s);
  if (summary.ranks > 1)
    text += fmt::format("clocks of the ranks are aligned to +- {:.1f} us\n",
                        1e-3 * static_cast<double>(summary.clock_error_ns));
  if (summary.dropped > 0) text += fmt::format("{} events found no room: profile fewer steps\n", summary.dropped);
  if (summary.device != "CPU") text += "on a GPU ops are not seen one by one: only what the host waits for\n";
  return text;
}

Json OpJson(const ProfileSummary& summary, const std::vector<OpUse>& uses) {
  Json list = Json::array();
  for (const OpUse& use : uses) {
    const auto steps = static_cast<double>(summary.steps);
    Json object = {{"kind", use.kind},
                   {"pass", use.forward ? "forward" : "backward"},
                   {"runs_per_step", static_cast<double>(use.runs) / steps},
                   {"seconds_per_step", use.seconds / Parts(summary)},
                   {"flop_per_step", use.flops / steps},
                   {"bytes_per_step", use.bytes / steps}};
    if (!use.name.empty()) object["name"] = use.name;
    if (use.seconds > 0) {
      object["gflops"] = 1e-9 * use.flops / use.seconds;
      object["gb_per_s"] = 1e-9 * use.bytes / use.seconds;
    }
    list.push_back(object);
  }
  return list;
}

Json PhaseJson(const std::vector<PhaseUse>& phases) {
  Json list = Json::array();
  for (const PhaseUse& phase : phases)
    list.push_back({{"name", phase.name},
                    {"seconds_per_step", phase.mean},
                    {"least", phase.least},
                    {"most", phase.most},
                    {"most_rank", phase.most_rank}});
  return list;
}

}  // namespace

std::string ProfileText(const ProfileSummary& summary, const ExecutorLimits& limits, size_t most_ops) {
  std::string text = Heading(summary, limits);
  if (!summary.executor_phases.empty())
    text += "\n" + AlignedTable(PhaseTable("an executor's time", summary, summary.executor_phases));
  text += "\n" + AlignedTable(PhaseTable("the communicating thread's", summary, summary.communication_phases));
  if (summary.kinds.empty()) return text;
  text += "\n" + AlignedTable(OpTable(summary, limits, summary.kinds, summary.kinds.size()));
  text += "\n" + AlignedTable(OpTable(summary, limits, summary.ops, most_ops));
  if (most_ops < summary.ops.size())
    text += fmt::format("and {} ops that take less (--top shows more)\n", summary.ops.size() - most_ops);
  text +=
      "\nTimes of ops are an executor's, mean over all. Bytes are those of an op's operands, each read or written "
      "once.\n";
  return text;
}

std::string ProfileJson(const ProfileSummary& summary, const ExecutorLimits& limits) {
  const Json object = {{"first_step", summary.first_step},
                       {"steps", summary.steps},
                       {"ranks", summary.ranks},
                       {"executors", summary.executors},
                       {"lane_threads", summary.lane_threads},
                       {"device", summary.device},
                       {"seconds_per_step", summary.step_seconds},
                       {"flop_per_step", summary.flops},
                       {"clock_error_ns", summary.clock_error_ns},
                       {"dropped_events", summary.dropped},
                       {"matrix_gflops_of_executor", limits.matrix_gflops},
                       {"copy_gb_per_s_of_executor", limits.copy_gb_s},
                       {"executor_phases", PhaseJson(summary.executor_phases)},
                       {"communication_phases", PhaseJson(summary.communication_phases)},
                       {"kinds", OpJson(summary, summary.kinds)},
                       {"ops", OpJson(summary, summary.ops)}};
  return DumpJson(object, 2) + "\n";
}

}  // namespace lockstep::launch
