#include "launch/scale/compare_studies.h"

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

}  // namespace lockstep::launch
