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

/// One trial's place in the space.
using Units = std::vector<double>;
/// "optimizer.learning_rate=0.00316", ...
std::vector<std::string> SettingsAt(const std::vector<Dimension>& space, const Units& units);

/// All combinations: each value of lists, and `points` values of the others, evenly from low to high.
std::vector<Units> GridOf(const std::vector<Dimension>& space, int points);
/// The trial's own draw, uniform in the space.
Units DrawAt(const std::vector<Dimension>& space, uint64_t seed, int trial);

}  // namespace lockstep::launch
