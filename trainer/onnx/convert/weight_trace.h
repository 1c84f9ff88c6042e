// Values of the file that depend on weights and constants alone, computed: recurrent layers' gates, which exporters put
// into another order by slices and concatenations of PyTorch's own weights.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "trainer/onnx/graph_view.h"

namespace lockstep::onnx {

class WeightTrace {
 public:
  WeightTrace(std::vector<float> values, std::set<std::string> sources)
      : values_(std::move(values)), sources_(std::move(sources)) {}
  const std::vector<float>& values() const { return values_; }
  /// The parameters that it is made of.
  const std::set<std::string>& sources() const { return sources_; }
  /// The first in order of names; empty where there is none.
  std::string first_source() const { return sources_.empty() ? "" : *sources_.begin(); }

 private:
  std::vector<float> values_;
  std::set<std::string> sources_;
};

/// Throws Unsupported where `value` depends on more than weights and constants, or on operators that aren't folded.
WeightTrace TraceOf(const GraphView& view, const std::string& value);

}  // namespace lockstep::onnx
