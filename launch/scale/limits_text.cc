#include "launch/scale/limits_text.h"

#include <fmt/format.h>

#include <algorithm>

#include "launch/scale/figures.h"

namespace lockstep::launch {
namespace {

constexpr size_t kMostColumns = 8, kSlowest = 8;

std::string MegaBytes(double bytes) { return fmt::format("{:.3g} MB", bytes / 1e6); }
std::string LinkText(const LinkLimit& link) {
  return fmt::format("{:.3g} Gbit/s, {:.3g} us", link.gbit, link.latency_us);
}

/// Of float32 gradients; 0: unknown.
double LeastBytes(const StudyFacts& facts, int hosts) { return LeastHostBytes(4 * facts.parameters, hosts); }

void AddCoreLimits(const StudyFacts& facts, const StudySummary& summary, std::vector<std::string>& findings) {
  const auto matrix = facts.limits.find("matrix_gflops");
  if (matrix == facts.limits.end() || summary.base == nullptr || facts.flops_per_sample <= 0) return;
  const double used = summary.base->rate * facts.flops_per_sample / 1e9;
  findings.push_back(fmt::format(
      "one rank computes {:.1f} of the {:.1f} GFLOP/s that a large matrix product reached on its cores in "
      "the same study{} ({}){}",
      used, matrix->second, facts.hosts.hosts.size() > 1 ? ", on the slowest host" : "", Percent(used / matrix->second),
      facts.limits.contains("copy_gb_s")
          ? fmt::format("; memory is copied at {:.1f} GB/s", facts.limits.at("copy_gb_s"))
          : ""));
}

void AddLinks(const HostLimits& limits, std::vector<std::string>& findings) {
  std::vector<double> rates, latencies;
  for (const LinkLimit& link : limits.BetweenHosts()) {
    rates.push_back(link.gbit);
    latencies.push_back(link.latency_us);
  }
  if (rates.empty()) return;
  const auto [slowest, fastest] = std::ranges::minmax(rates);
  findings.push_back(fmt::format(
      "links between hosts carry {:.3g} Gbit/s each way{}; half a round trip takes {:.3g} us (medians of {} "
      "ways, measured one after the other)",
      Median(rates), fastest > 1.2 * slowest ? fmt::format(" ({:.3g} to {:.3g})", slowest, fastest) : "",
      Median(latencies), rates.size()));
}

/// Of the point with most ranks that runs on several hosts.
void AddLinkUse(const StudyFacts& facts, const StudySummary& summary, std::vector<std::string>& findings) {
  const PointSummary* most = nullptr;
  for (const PointSummary& point : summary.points)
    if (point.point->role == StudyPoint::Role::kPoint && point.phases.links.link_seconds > 0 &&
        (most == nullptr || point.point->ranks > most->point->ranks))
      most = &point;
  if (most == nullptr) return;
  const LinkUse& use = most->phases.links;
  const double least = LeastBytes(facts, use.hosts);
  findings.push_back(
      fmt::format("at {} ranks on {} hosts a host sends up to {} a step{}, for which its link alone would take {}: {} "
                  "of a step, of "
                  "which {} are exchange that nothing hides",
                  most->point->ranks, use.hosts, MegaBytes(use.host_bytes),
                  least > 0 ? fmt::format(" (any all-reduce of float32 gradients: at least {})", MegaBytes(least)) : "",
                  Milliseconds(use.link_seconds), Percent(use.link_seconds / most->step_seconds),
                  Percent(most->phases.exposed / most->step_seconds)));
}

}  // namespace

TextTable HostTable(const HostLimits& limits) {
  if (limits.empty()) return {};
  TextTable table{.heading = {"host", "cores", "GFLOP/s", "copies, GB/s"}, .rows = {}};
  const bool links = limits.hosts.size() <= kMostColumns && !limits.links.empty();
  for (const HostLimit& to : limits.hosts)
    if (links) table.heading.push_back("to " + to.name);
  for (const HostLimit& host : limits.hosts) {
    std::vector<std::string> row{host.name, std::to_string(host.cores), fmt::format("{:.1f}", host.matrix_gflops),
                                 fmt::format("{:.1f}", host.copy_gb_s)};
    for (const HostLimit& to : limits.hosts) {
      if (!links) break;
      const LinkLimit* link = limits.Find(host.name, to.name);
      row.push_back(link == nullptr ? "-" : LinkText(*link));
    }
    table.rows.push_back(std::move(row));
  }
  return table;
}

TextTable SlowLinkTable(const HostLimits& limits) {
  if (limits.hosts.size() <= kMostColumns) return {};
  std::vector<LinkLimit> links = limits.BetweenHosts();
  std::ranges::sort(links, {}, &LinkLimit::gbit);
  if (links.size() > kSlowest) links.resize(kSlowest);
  TextTable table{.heading = {"slowest links from", "to", "rate", "latency"}, .rows = {}};
  for (const LinkLimit& link : links)
    table.rows.push_back(
        {link.from, link.to, fmt::format("{:.3g} Gbit/s", link.gbit), fmt::format("{:.3g} us", link.latency_us)});
  return table;
}

TextTable LinkTable(const StudyFacts& facts, const StudySummary& summary) {
  TextTable table{.heading = {"ranks", "hosts", "sent a host", "lower bound", "links alone", "exchange", "step"},
                  .rows = {}};
  for (const PointSummary& point : summary.points) {
    const LinkUse& use = point.phases.links;
    if (point.rates.empty() || use.hosts < 2) continue;
    const double least = LeastBytes(facts, use.hosts);
    table.rows.push_back({PointName(point), std::to_string(use.hosts), MegaBytes(use.host_bytes),
                          least > 0 ? MegaBytes(least) : "", use.link_seconds > 0 ? Milliseconds(use.link_seconds) : "",
                          Milliseconds(point.phases.exposed), Milliseconds(point.step_seconds)});
  }
  return table;
}

std::vector<std::string> LimitFindings(const StudyFacts& facts, const StudySummary& summary) {
  std::vector<std::string> findings;
  AddCoreLimits(facts, summary, findings);
  AddLinks(facts.hosts, findings);
  AddLinkUse(facts, summary, findings);
  return findings;
}

}  // namespace lockstep::launch
