#include "launch/scale/study_text.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/json_fields.h"
#include "launch/scale/figures.h"
#include "launch/scale/limits_text.h"

namespace lockstep::launch {
namespace {

constexpr const char* kPhases[] = {"prepare", "data", "forward", "backward", "update"};

/// Three significant digits, whole from 100 on.
std::string Rate(double rate) { return rate >= 100 ? fmt::format("{:.0f}", rate) : fmt::format("{:.3g}", rate); }

std::vector<std::string> FailedRow(const PointSummary& point, size_t columns) {
  std::vector<std::string> row{PointName(point)};
  if (point.failed == 0) return {PointName(point), "not run yet"};
  row.push_back(fmt::format("FAILED ({} of {}): {}", point.failed, point.failed, fmt::join(point.reasons, "; ")));
  row.resize(std::max<size_t>(2, std::min(row.size(), columns)));
  return row;
}

void AddSlowRanks(const StudySummary& summary, std::vector<std::string>& findings) {
  constexpr double kSlow = 0.1, kMostSteps = 0.7;
  for (const PointSummary& point : summary.points) {
    const PhaseTimes& times = point.phases;
    if (times.slowest_excess < kSlow || times.slowest_share < kMostSteps) continue;
    const std::string which = point.point->role == StudyPoint::Role::kTwin ? ", once more,"
                              : point.point->variant.empty()               ? ""
                                                                           : ", " + point.point->variant + ",";
    findings.push_back(fmt::format(
        "at {} ranks{} rank {} is slow: its lanes take {} longer than the median rank's, in {} of the steps the "
        "longest",
        point.point->ranks, which, times.slowest_rank, Percent(times.slowest_excess), Percent(times.slowest_share)));
  }
}

void AddBase(const StudyFacts& facts, const StudySummary& summary, std::vector<std::string>& findings) {
  if (summary.base == nullptr) return;
  std::string text =
      fmt::format("speed-ups are over this recipe on {} rank{}: {} samples/s", summary.base->point->ranks,
                  summary.base->point->ranks == 1 ? "" : "s", Rate(summary.base->rate));
  if (summary.fastest_base != summary.base)
    text +=
        fmt::format("; one rank is faster with {} ({} samples/s), over which they would be {:.2f} times what is said",
                    summary.fastest_base->point->settings.front(), Rate(summary.fastest_base->rate),
                    summary.base->rate / summary.fastest_base->rate);
  else if (!facts.request.base_lanes.empty())
    text += "; no other number of lanes is faster on one rank";
  findings.push_back(text);
}

void AddModel(const StudySummary& summary, std::vector<std::string>& findings) {
  if (!summary.cost) return;
  std::vector<std::string> terms;
  for (int term = 0; term < kCostTerms; ++term)
    if (const double seconds = summary.cost->model.seconds[term]; seconds > 0)
      terms.push_back(fmt::format("{} {}", Name(static_cast<CostTerm>(term)), Milliseconds(seconds)));
  std::string text = fmt::format("a step's time follows {}", fmt::join(terms, " + "));
  double worst = 0;
  for (const double error : summary.cost->left_out_errors)
    if (std::isfinite(error)) worst = std::max(worst, std::abs(error));
  if (worst > 0) text += fmt::format("; a point that is left out is predicted within {}", Percent(worst));
  if (summary.knee > 0)
    text += fmt::format("; from {:.0f} ranks on twice as many are less than 1.3 times as fast", summary.knee);
  findings.push_back(text);
  if (summary.next_point > 0)
    findings.push_back(fmt::format("to narrow the prediction, measure {:.0f} ranks next", summary.next_point));
}

void AddCores(const StudyFacts& facts, std::vector<std::string>& findings) {
  if (const int executors = facts.request.executors; executors > 0)
    findings.push_back(
        fmt::format("every rank computes on {} core{}, at every point", executors, executors == 1 ? "" : "s"));
  else if (facts.flops_per_sample > 0 && facts.request.ranks.size() > 1)
    findings.push_back(
        "a rank computes on what its host gives it, which is more where there are fewer ranks: efficiencies are of "
        "ranks, not of cores (--executors keeps a rank's cores)");
}

Json PointJson(const PointSummary& point) {
  Json object = {
      {"name", point.point->name},       {"ranks", point.point->ranks},  {"global_batch", point.point->global_batch},
      {"variant", point.point->variant}, {"samples_per_s", point.rates}, {"step_seconds", point.seconds},
      {"failed", point.failed},          {"reasons", point.reasons}};
  if (point.rates.empty()) return object;
  object["median_samples_per_s"] = point.rate;
  object["interval"] = {point.rate_interval.low, point.rate_interval.high};
  object["coverage"] = point.rate_interval.coverage;
  object["speedup"] = {point.speedup.estimate, point.speedup.interval.low, point.speedup.interval.high};
  object["efficiency"] = point.efficiency;
  object["phases"] = point.phases.mean;
  object["phases_of_slowest"] = point.phases.most;
  object["waiting_for_slowest"] = point.phases.waiting;
  object["exposed_exchange"] = point.phases.exposed;
  object["slowest_rank"] = point.phases.slowest_rank;
  object["sent_bytes"] = point.phases.sent_bytes;
  if (point.phases.links.hosts > 1) {
    object["host_bytes"] = point.phases.links.host_bytes;
    object["link_seconds"] = point.phases.links.link_seconds;
  }
  object["node_hours_per_epoch"] = point.node_hours_per_epoch;
  if (point.joules_per_sample > 0) object["joules_per_sample"] = point.joules_per_sample;
  if (point.target_seconds > 0) object["target_seconds"] = point.target_seconds;
  return object;
}

std::string CsvCell(const std::string& text) {
  if (text.find_first_of(",\"\n\r") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + "\"";
}

std::string Markdown(const TextTable& table) {
  const auto line = [](const std::vector<std::string>& cells) {
    std::string text = "|";
    for (std::string cell : cells) {
      for (size_t at = 0; (at = cell.find('|', at)) != std::string::npos; at += 2) cell.insert(at, "\\");
      text += " " + cell + " |";
    }
    return text + "\n";
  };
  std::string text = line(table.heading) + line(std::vector<std::string>(table.heading.size(), "---"));
  for (std::vector<std::string> row : table.rows) {
    row.resize(table.heading.size());
    text += line(row);
  }
  return text;
}

}  // namespace

std::string ModeSentence(const StudyFacts& facts) {
  const StudyRequest& request = facts.request;
  const std::string rate = request.rate == RateRule::kNone     ? "the learning rate stays"
                           : request.rate == RateRule::kLinear ? "the learning rate grows as the batch"
                                                               : "the learning rate grows as the root of the batch";
  switch (request.mode) {
    case StudyMode::kStrong:
      return "strong: the same recipe at every number of ranks, so the same steps and the same weights; ranks share a "
             "step's "
             "lanes";
    case StudyMode::kWeak:
      return "weak: every rank has the same lanes and samples, so that the batch grows with the ranks; " + rate +
             "; weights differ between points";
    case StudyMode::kThroughput:
      return "throughput: the ranks stay, the batch grows; " + rate + "; weights differ between points";
  }
  return "";
}

TextTable PointTable(const StudyFacts& facts, const StudySummary& summary) {
  const bool batches = facts.request.mode != StudyMode::kStrong, targets = !facts.target.empty();
  TextTable table{.heading = {"ranks", "step", "samples/s", "interval", "speed-up", "efficiency", "runs"}, .rows = {}};
  if (batches) table.heading.insert(table.heading.begin() + 1, "batch");
  if (targets) table.heading.push_back("to " + facts.target);
  for (const PointSummary& point : summary.points) {
    if (point.rates.empty()) {
      table.rows.push_back(FailedRow(point, table.heading.size()));
      continue;
    }
    std::vector<std::string> row{PointName(point),
                                 Milliseconds(point.step_seconds),
                                 Rate(point.rate),
                                 fmt::format("{} to {} ({:.0f} %)", Rate(point.rate_interval.low),
                                             Rate(point.rate_interval.high), point.rate_interval.coverage * 100),
                                 fmt::format("{:.2f} ({:.2f} to {:.2f})", point.speedup.estimate,
                                             point.speedup.interval.low, point.speedup.interval.high),
                                 point.efficiency > 0 ? Percent(point.efficiency) : "",
                                 point.failed == 0 ? std::to_string(point.rates.size())
                                                   : fmt::format("{}, {} FAILED: {}", point.rates.size(), point.failed,
                                                                 fmt::join(point.reasons, "; "))};
    if (batches) row.insert(row.begin() + 1, std::to_string(point.point->global_batch));
    if (targets)
      row.push_back(point.target_seconds > 0 ? fmt::format("{:.1f} s", point.target_seconds) : "not reached");
    table.rows.push_back(std::move(row));
  }
  return table;
}

TextTable PhaseTable(const StudySummary& summary) {
  TextTable table{.heading = {"ranks"}, .rows = {}};
  for (const char* phase : kPhases) table.heading.emplace_back(phase);
  for (const char* phase : {"exchange", "waiting", "step", "sent"}) table.heading.emplace_back(phase);
  for (const PointSummary& point : summary.points) {
    if (point.phases.mean.empty()) continue;
    std::vector<std::string> row{PointName(point)};
    for (const char* phase : kPhases) {
      const auto found = point.phases.mean.find(phase);
      row.push_back(found == point.phases.mean.end() ? "" : Milliseconds(found->second));
    }
    row.push_back(Milliseconds(point.phases.exposed));
    row.push_back(Milliseconds(point.phases.waiting));
    row.push_back(Milliseconds(point.step_seconds));
    row.push_back(point.phases.sent_bytes > 0 ? fmt::format("{:.3g} MB", point.phases.sent_bytes / 1e6) : "0");
    table.rows.push_back(std::move(row));
  }
  return table;
}

TextTable PeerTable(const StudySummary& summary) {
  TextTable table{.heading = {"ranks", "this, samples/s", "peer, samples/s", "this / peer"}, .rows = {}};
  for (const PointSummary& peer : summary.points) {
    if (peer.point->role != StudyPoint::Role::kPeer) continue;
    const PointSummary* own = summary.Find(peer.point->name.substr(std::strlen("peer-")));
    if (own == nullptr || own->rates.empty() || peer.rates.empty()) continue;
    const Ratio ratio = RatioOf(own->rates, peer.rates, kWantedCoverage);
    table.rows.push_back(
        {std::to_string(peer.point->ranks), Rate(own->rate), Rate(peer.rate),
         fmt::format("{:.2f} ({:.2f} to {:.2f})", ratio.estimate, ratio.interval.low, ratio.interval.high)});
  }
  return table;
}

std::vector<std::string> Findings(const StudyFacts& facts, const StudySummary& summary) {
  std::vector<std::string> findings{WeightsLine(summary)};
  if (const std::string noise = NoiseLine(summary); !noise.empty()) findings.push_back(noise);
  AddBase(facts, summary, findings);
  AddCores(facts, findings);
  for (std::string& finding : LimitFindings(facts, summary)) findings.push_back(std::move(finding));
  AddModel(summary, findings);
  AddSlowRanks(summary, findings);
  for (const PointSummary& point : summary.points)
    if (point.failed > 0)
      findings.push_back(fmt::format("{} of {} runs of point {} FAILED: {}", point.failed,
                                     point.failed + static_cast<int>(point.rates.size()), point.point->name,
                                     fmt::join(point.reasons, "; ")));
  for (const Obstacle& obstacle : facts.obstacles)
    findings.push_back(fmt::format("MEASURED ALL THE SAME: {} ({})", obstacle.what, obstacle.remedy));
  return findings;
}

std::string AlignedTable(const TextTable& table) {
  std::vector<size_t> widths(table.heading.size());
  const auto measure = [&](const std::vector<std::string>& row) {
    // What is said of a failed point may be longer than any column.
    for (size_t i = 0; i < row.size() && row.size() == widths.size(); ++i)
      widths[i] = std::max(widths[i], row[i].size());
  };
  measure(table.heading);
  for (const std::vector<std::string>& row : table.rows) measure(row);
  std::string text;
  const auto write = [&](const std::vector<std::string>& row) {
    std::string line;
    for (size_t i = 0; i < row.size(); ++i) line += fmt::format("{:<{}}  ", row[i], i < widths.size() ? widths[i] : 0);
    text += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
  };
  write(table.heading);
  for (const std::vector<std::string>& row : table.rows) write(row);
  return text;
}

std::string MarkdownReport(const StudyFacts& facts, const StudySummary& summary) {
  std::string text = fmt::format("# Scaling of {}\n\n{}.\n\n", facts.name, ModeSentence(facts));
  for (const std::string& finding : Findings(facts, summary)) text += "- " + finding + "\n";
  text += "\n" + Markdown(PointTable(facts, summary));
  if (const TextTable peer = PeerTable(summary); !peer.rows.empty())
    text += fmt::format("\nBeside `{}`:\n\n", facts.request.against) + Markdown(peer);
  text += "\nWhere a step's time goes, mean over ranks (waiting: for the lanes of the slowest rank):\n\n" +
          Markdown(PhaseTable(summary));
  const TextTable limits[] = {HostTable(facts.hosts), SlowLinkTable(facts.hosts), LinkTable(facts, summary)};
  const bool any = std::ranges::any_of(limits, [](const TextTable& table) { return !table.rows.empty(); });
  if (any) text += "\nWhat hosts and links can do, measured in the same study:\n";
  for (const TextTable& table : limits)
    if (!table.rows.empty()) text += "\n" + Markdown(table);
  text += fmt::format(
      "\nMedians over runs. Intervals are between runs, of no assumed distribution. Each run took {} steps; its first "
      "ones are "
      "left out.\n\nMade by `{}` (build {}) on {} ({}).\n",
      facts.request.steps, facts.command, facts.build, facts.host, facts.cpu);
  return text;
}

std::string RunsCsv(const StudyFacts& facts, const std::vector<RunResult>& results) {
  std::string text =
      "point,ranks,global_batch,repeat,seconds_per_step,samples_per_s,seconds,joules_per_sample,target_seconds,weights,"
      "exit_code,reason\n";
  for (const RunResult& result : results) {
    const auto point = std::ranges::find(facts.points, result.point, &StudyPoint::name);
    if (point == facts.points.end()) continue;
    text += fmt::format("{},{},{},{},{},{},{},{},{},{},{},{}\n", CsvCell(result.point), point->ranks,
                        point->global_batch, result.repeat, result.seconds_per_step, result.samples_per_s,
                        result.seconds, result.joules_per_sample, result.target_seconds, result.weights,
                        result.exit_code, CsvCell(result.reason));
  }
  return text;
}

std::string JsonReport(const StudyFacts& facts, const StudySummary& summary) {
  Json points = Json::array();
  for (const PointSummary& point : summary.points) points.push_back(PointJson(point));
  Json object = {{"name", facts.name},
                 {"mode", Name(facts.request.mode)},
                 {"command", facts.command},
                 {"build", facts.build},
                 {"host", facts.host},
                 {"cpu", facts.cpu},
                 {"findings", Findings(facts, summary)},
                 {"weights", summary.weights},
                 {"limits", facts.limits},
                 {"points", points}};
  if (!facts.hosts.empty()) object.update(HostLimitsJson(facts.hosts));
  if (summary.noise)
    object["noise"] = {summary.noise->estimate, summary.noise->interval.low, summary.noise->interval.high};
  if (summary.cost) {
    Json terms;
    for (int term = 0; term < kCostTerms; ++term)
      terms[Name(static_cast<CostTerm>(term))] = summary.cost->model.seconds[term];
    object["model"] = {{"seconds", terms}, {"knee", summary.knee}, {"next_point", summary.next_point}};
  }
  return DumpJson(object, 2) + "\n";
}

std::string ExtraPText(const StudyFacts& facts, const StudySummary& summary) {
  std::vector<const PointSummary*> points;
  for (const PointSummary& point : summary.points)
    if (point.point->role == StudyPoint::Role::kPoint && point.point->variant == facts.points.front().variant &&
        !point.seconds.empty())
      points.push_back(&point);
  std::string text = "PARAMETER p\n\nPOINTS";
  for (const PointSummary* point : points) text += fmt::format(" {}", point->point->ranks);
  text += "\n\nREGION step\nMETRIC time\n";
  for (const PointSummary* point : points) text += fmt::format("DATA {}\n", fmt::join(point->seconds, " "));
  return text;
}

}  // namespace lockstep::launch
