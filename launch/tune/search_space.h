// What a sweep tries: fields of a recipe and the values that they may have.
#pragma once

#include <string>
#include <vector>

namespace lockstep::launch {

/// A field and its values, as a number in [0, 1): of a list each value has an equal part of it.
struct Dimension {
  enum class Kind { kList, kUniform, kLog, kWhole };
  std::string field;
  Kind kind = Kind::kList;
  std::vector<std::string> values = {};  ///< of kList
  double low = 0, high = 1;              ///< of the others; both may be drawn

  bool continuous() const { return kind != Kind::kList; }
};

/// Of "optimizer.learning_rate=log(1e-4,1e-1)", "model.mlp.dropout=0,0.1,0.3", "x=uniform(0,1)", "x=whole(16,256)".
/// Throws Error(kUsage).
Dimension ParseOver(const std::string& text);

/// The value at `unit`, 0 <= unit < 1, for --set.
std::string ValueAt(const Dimension& dimension, double unit);

/// A field's values on an axis of its own.
struct FieldAxis {
  bool log = false;
  /// Of lists: each value's place. Numbers lie where they are, on a logarithmic axis where all are > 0 and the largest
  /// is at least twenty times the least; other values at 0, 1, 2, in their order. Empty for ranges.
  std::vector<double> places = {};
  double low = 0, high = 1;  ///< ends: of the range, or the least and the largest place
};
FieldAxis AxisOf(const Dimension& dimension);
/// Where a value of the field, as text, lies on its axis; NaN: nowhere.
double PlaceOf(const Dimension& dimension, const FieldAxis& axis, const std::string& value);
/// The same as a share of the axis: 0 is its low end, 1 its high one.
double ShareOf(const Dimension& dimension, const FieldAxis& axis, const std::string& value);

/// One trial's place in the space.
using Units = std::vector<double>;
/// "optimizer.learning_rate=0.00316", ...
std::vector<std::string> SettingsAt(const std::vector<Dimension>& space, const Units& units);

/// All combinations: each value of lists, and `points` values of the others, evenly from low to high.
std::vector<Units> GridOf(const std::vector<Dimension>& space, int points);
/// The trial's own draw, uniform in the space.
Units DrawAt(const std::vector<Dimension>& space, uint64_t seed, int trial);

}  // namespace lockstep::launch
