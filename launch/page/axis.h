// Axes of charts: the range of what is drawn, ticks at round numbers, and how numbers are written beside them.
#pragma once

#include <limits>
#include <string>
#include <vector>

namespace lockstep::launch {

/// From `low` to `high` in `pixels`, by the number or by its logarithm. Made by MakeAxis.
struct Axis {
  double low = 0, high = 1;
  bool log = false;
  double begin = 0, end = 1;  ///< pixels of low and of high

  /// In pixels; outside of both where the value is.
  double At(double value) const;
};

/// What is finite of the numbers that were added; with `log` what is > 0 of it.
class Extent {
 public:
  void Add(double value);
  bool empty() const { return low_ > high_; }
  double low() const { return low_; }
  double high() const { return high_; }
  double least_positive() const { return least_positive_; }

 private:
  double low_ = std::numeric_limits<double>::infinity(), high_ = -low_, least_positive_ = low_;
};

struct AxisOptions {
  bool log = false;        ///< where nothing is > 0, it is linear all the same
  bool from_zero = false;  ///< a linear axis begins at 0 where all is >= 0
  bool near_zero = false;  ///< the same where the least is near 0, compared with the highest
  double margin = 0;       ///< of the range, left free at each end
};
/// A range that holds `extent`; of a single number some room around it.
Axis MakeAxis(const Extent& extent, AxisOptions options, double begin, double end);

/// Round numbers inside the axis' range, about `wanted` of them: 1, 2 or 5 times a power of ten apart, `whole`: at
/// least 1 apart; on a logarithmic axis powers of ten, with 2 and 5 times these where there are few.
std::vector<double> TicksOf(const Axis& axis, int wanted, bool whole = false);

/// The ticks as text, alike in digits: "0.05", "2.5k" (thousands, from 10,000 on), "1M", "1e-5".
std::vector<std::string> TickTexts(const std::vector<double>& ticks);

/// A number for people: four significant digits, "12,345" from 1000 on where it is whole, "-" where it is not finite.
std::string NumberText(double value);

}  // namespace lockstep::launch
