// Statistics for compare_scipy.py. Standard input holds cases, a JSON object a line: two lists of numbers, "a" and "b",
// and a list of p values, "p". A JSON object a case comes out.
#include <iostream>
#include <string>
#include <vector>

#include "base/json_fields.h"
#include "launch/scale/statistics.h"

int main() {
  using namespace lockstep;
  using namespace lockstep::launch;
  for (std::string line; std::getline(std::cin, line);) {
    const Json given = ParseJsonObject(line);
    const auto a = given.at("a").get<std::vector<double>>(), b = given.at("b").get<std::vector<double>>();
    const Interval median = MedianInterval(a, 0.9);
    const Ratio ratio = RatioOf(a, b, 0.9);
    const Json found = {{"median", Median(a)},
                        {"median_interval", {median.low, median.high, median.coverage}},
                        {"ratio", ratio.estimate},
                        {"ratio_interval", {ratio.interval.low, ratio.interval.high, ratio.interval.coverage}},
                        {"p", PermutationTest(a, b, 0)},
                        {"holm", HolmCorrected(given.at("p").get<std::vector<double>>())}};
    std::cout << DumpJson(found) << "\n";
  }
}
