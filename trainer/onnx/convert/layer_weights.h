// Weights of layers: which initializers they are, and under which names the recipe's layer has them.
#pragma once

#include <string>
#include <vector>

#include "trainer/onnx/convert/conversion.h"

namespace lockstep::onnx {

/// An initializer that training changes, seen through operators that compute nothing.
struct WeightSource {
  std::string initializer;  ///< empty: it is none
  bool turned = false;      ///< a matrix, whose rows have become columns
};
WeightSource SourceOf(const GraphView& view, const std::string& value);

/// A weight that a layer takes as PREFIX.suffix, or as a further input.
struct LayerWeight {
  std::string suffix;  ///< "weight"
  std::string value;   ///< of the file
  /// The layer wants the matrix the other way round than the value is.
  bool turned = false;
};

/// Gives `layer` its weights: where all are parameters, as the parameters of a module, under PyTorch's names as far as
/// the file has them; else as inputs. Returns the name that the node should have. `kind`: "conv".
std::string TakeWeights(Conversion& to, const OpNode& node, const std::string& kind,
                        const std::vector<LayerWeight>& weights, models::Node& layer);

/// Whether a norm's weight (input 1) is all ones and its bias (input 2) all zeros: it has none.
bool HasPlainWeights(const Conversion& to, const OpNode& node);

}  // namespace lockstep::onnx
