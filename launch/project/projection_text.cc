#include "launch/project/projection_text.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/json_fields.h"
#include "launch/scale/figures.h"

namespace lockstep::launch {
namespace {

std::string MegaBytes(double bytes) { return fmt::format("{:.3g}", bytes / 1e6); }

std::string StraggleText(const Projection& projection) {
  const double straggle = projection.request.network.straggle;
  if (straggle >= 0)
    return fmt::format("that a rank's lanes vary from step to step by {:g} % (lognormal)", straggle * 100);
  return "";
}

std::string Measured(const Projection& projection) {
  const MeasuredRank& measured = projection.measured;
  std::string text =
      fmt::format("measured: the lanes of a rank as at {} rank{} of the study ({} for {:g} lanes)", measured.ranks,
                  measured.ranks == 1 ? "" : "s", Milliseconds(Median(measured.lanes)), measured.lanes_per_rank);
  text += fmt::format(", what every rank does besides ({})", Milliseconds(measured.fixed));
  if (projection.request.network.straggle < 0)
    text += fmt::format(", how steps vary ({} of them, the slowest {:.2f} times the median)", measured.factors.size(),
                        *std::ranges::max_element(measured.factors));
  if (measured.update > 0) text += fmt::format(", updates ({:.2g} ns an element)", measured.update * 1e9);
  if (projection.memory_measured)
    text += fmt::format(", memory at {:.3g} GB/s a host", projection.request.network.memory_gb_s);
  const Network& network = projection.request.network;
  std::vector<std::string> links;
  if (projection.gbit_measured) links.push_back(DescribeLinks(network));
  if (projection.latency_measured) links.push_back(DescribeLatency(network));
  if (!links.empty())
    text += fmt::format(", {} (medians of the study's {} ways between hosts)", fmt::join(links, " and "),
                        projection.facts.hosts.BetweenHosts().size());
  return text;
}

std::string Assumed(const Projection& projection) {
  const Network& network = projection.request.network;
  std::string text =
      fmt::format("assumed: {} rank{} a host", network.ranks_per_host, network.ranks_per_host == 1 ? "" : "s");
  if (!projection.gbit_measured) text += ", " + DescribeLinks(network);
  if (!projection.latency_measured) text += ", " + DescribeLatency(network);
  text += ", " + DescribeRest(network);
  if (!projection.memory_measured) text += fmt::format(", memory at {:.3g} GB/s a host", network.memory_gb_s);
  if (const std::string straggle = StraggleText(projection); !straggle.empty()) text += ", " + straggle;
  return text +
         "; ops of a backward pass take their arithmetic and bytes at the measured rates; nothing else is on the "
         "network";
}

std::string Values(const Projection& projection) {
  int64_t sums = 0, wrong = 0, weights = 0, bad = 0;
  for (const ProjectedPoint& point : projection.points) {
    sums += point.values.sums;
    wrong += point.values.wrong_sums;
    weights += point.values.weights;
    bad += point.values.wrong_weights + point.values.missing_weights;
  }
  if (wrong + bad > 0)
    return fmt::format("{} OF {} SUMS ARE WRONG, {} of {} slices of weights are wrong or missing: a bug in Lockstep",
                       wrong, sums, bad, weights);
  return fmt::format(
      "the plans' messages carried made-up gradients: {} sums have the bits of the lane tree's, and every "
      "host got all new weights ({} slices)",
      sums, weights);
}

/// "checked: the study's own 2 ranks on 1 host take 1.6 ms simulated and 2.83 ms measured (-43 %)".
std::string Checked(const Projection& projection) {
  std::vector<std::string> parts;
  for (const CheckedPoint& point : projection.checked)
    parts.push_back(fmt::format("{} rank{} on {} host{} {} simulated, {} measured ({:+.0f} %)", point.ranks,
                                point.ranks == 1 ? "" : "s", point.hosts, point.hosts == 1 ? "" : "s",
                                Milliseconds(point.simulated), Milliseconds(point.measured),
                                (point.simulated / point.measured - 1) * 100));
  return fmt::format("checked against the study's own points: {}", fmt::join(parts, "; "));
}

Json PointJson(const ProjectedPoint& point) {
  Json object = {{"ranks", point.ranks},
                 {"hosts", point.hosts},
                 {"global_batch", point.global_batch},
                 {"simulated_steps", point.steps},
                 {"messages", point.median.messages},
                 {"step_seconds", point.step_seconds},
                 {"interval", {point.step_interval.low, point.step_interval.high}},
                 {"samples_per_s", point.rate},
                 {"speedup", point.speedup},
                 {"efficiency", point.efficiency},
                 {"seconds",
                  {{"fixed", point.fixed},
                   {"lanes", point.lanes},
                   {"waiting_for_slowest", point.waiting},
                   {"exposed_exchange", point.exposed},
                   {"control_records", point.records}}},
                 {"busiest",
                  {{"link", point.median.link_busy},
                   {"messages", point.median.message_busy},
                   {"memory", point.median.memory_busy}}},
                 {"host_bytes", point.host_bytes},
                 {"least_host_bytes", point.least_host_bytes},
                 {"bound", point.bound},
                 {"sums_checked", point.values.sums},
                 {"sums_right", point.values.good()}};
  if (point.model) object["model_interval"] = {point.model->low, point.model->high};
  return object;
}

}  // namespace

TextTable ProjectionTable(const Projection& projection) {
  TextTable table{.heading = {"ranks", "hosts", "batch", "step", "90 % of steps", "samples/s", "speed-up", "efficiency",
                              "slowest rank", "exchange", "MB a host", "least", "bound by", "fitted model"},
                  .rows = {}};
  for (const ProjectedPoint& point : projection.points)
    table.rows.push_back(
        {std::to_string(point.ranks), std::to_string(point.hosts), std::to_string(point.global_batch),
         Milliseconds(point.step_seconds),
         fmt::format("{:.3g} to {:.3g}", point.step_interval.low * 1e3, point.step_interval.high * 1e3),
         fmt::format("{:.3g}", point.rate), fmt::format("{:.3g}", point.speedup),
         fmt::format("{:.1f} %", point.efficiency * 100), Milliseconds(point.waiting), Milliseconds(point.exposed),
         MegaBytes(point.host_bytes), MegaBytes(point.least_host_bytes), point.bound,
         point.model ? fmt::format("{:.3g} to {:.3g} ms", point.model->low * 1e3, point.model->high * 1e3) : "none"});
  return table;
}

std::vector<std::string> ProjectionNotes(const Projection& projection) {
  return {"This is a simulation: nothing of it was measured at these numbers of ranks.", Measured(projection) + ".",
          Assumed(projection) + ".", Checked(projection) + ".", Values(projection) + "."};
}

std::string ProjectionJson(const Projection& projection) {
  Json points = Json::array();
  for (const ProjectedPoint& point : projection.points) points.push_back(PointJson(point));
  Json checked = Json::array();
  for (const CheckedPoint& point : projection.checked)
    checked.push_back({{"ranks", point.ranks},
                       {"hosts", point.hosts},
                       {"simulated_seconds", point.simulated},
                       {"measured_seconds", point.measured}});
  const Network& network = projection.request.network;
  const Json object = {{"name", projection.facts.name},
                       {"mode", Name(projection.request.mode)},
                       {"simulation", true},
                       {"notes", ProjectionNotes(projection)},
                       {"network",
                        {{"ranks_per_host", network.ranks_per_host},
                         {"gbit", network.gbit},
                         {"latency_us", network.latency_us},
                         {"gbit_measured", projection.gbit_measured},
                         {"latency_measured", projection.latency_measured},
                         {"message_us", network.message_us},
                         {"eager_kb", network.eager_kb},
                         {"memory_gb_s", network.memory_gb_s},
                         {"hosts_per_rack", network.hosts_per_rack},
                         {"uplink_gbit", network.uplink_gbit}}},
                       {"checked", checked},
                       {"points", points}};
  return DumpJson(object, 2) + "\n";
}

}  // namespace lockstep::launch
