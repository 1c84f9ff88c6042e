#include "launch/scale/compare_studies.h"

#include <fmt/format.h>

#include "base/error.h"
#include "launch/scale/study_text.h"

namespace lockstep::launch {
namespace {

constexpr double kSignificant = 0.05;
constexpr uint64_t kSeed = 23;

}  // namespace

std::vector<PointDifference> CompareStudies(const StudySummary& a, const StudySummary& b) {
  std::vector<PointDifference> differences;
  std::vector<double> p;
  for (const PointSummary& point : a.points) {
    const PointSummary* other = b.Find(point.point->name);
    if (other == nullptr || point.rates.empty() || other->rates.empty()) continue;
    differences.push_back({.name = point.point->name, .ratio = RatioOf(other->rates, point.rates, kWantedCoverage)});
    p.push_back(PermutationTest(point.rates, other->rates, kSeed));
  }
  const std::vector<double> corrected = HolmCorrected(p);
  for (size_t i = 0; i < differences.size(); ++i) {
    differences[i].p = corrected[i];
    differences[i].beyond_noise = corrected[i] < kSignificant;
  }
  return differences;
}

double LeastP(size_t a, size_t b) {
  double deals = 1;
  for (size_t i = 0; i < a; ++i) deals *= static_cast<double>(a + b - i) / static_cast<double>(i + 1);
  return (a == b ? 2 : 1) / deals;
}

std::string ComparisonText(const MeasuredStudy& first, const MeasuredStudy& second) {
  const std::vector<PointDifference> differences =
      CompareStudies(Summarize(first.facts, first.results), Summarize(second.facts, second.results));
  if (differences.empty())
    throw Error(ErrorKind::kUsage, "the two studies have no point in common", "--compare", "points go by their names");
  TextTable table{.heading = {"point", "second / first", "p", ""}, .rows = {}};
  for (const PointDifference& difference : differences)
    table.rows.push_back({difference.name,
                          fmt::format("{:.3f} ({:.3f} to {:.3f})", difference.ratio.estimate,
                                      difference.ratio.interval.low, difference.ratio.interval.high),
                          fmt::format("{:.3g}", difference.p), difference.beyond_noise ? "differs beyond noise" : ""});
  std::string text = AlignedTable(table);
  text += fmt::format(
      "p of a permutation test, corrected for {} points (Holm). First: {}, build {}. Second: {}, build {}.\n",
      differences.size(), first.facts.host, first.facts.build, second.facts.host, second.facts.build);
  const double least =
      static_cast<double>(differences.size()) *
      LeastP(static_cast<size_t>(first.facts.request.repeats), static_cast<size_t>(second.facts.request.repeats));
  if (least >= kSignificant)
    text += fmt::format(
        "So few repeats can't show a difference beyond noise: the least p is {:.2g}. Measure with more --repeats.\n",
        least);
  return text;
}

}  // namespace lockstep::launch
