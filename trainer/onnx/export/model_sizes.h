// One model at several sizes of its batch and of other dimensions that vary, from which follows what every dimension of
// every value hangs on.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "trainer/graph/graph.h"

namespace lockstep::onnx {

/// The same model with one of its dimensions larger.
struct Variation {
  std::string dimension;  ///< "batch", "time"
  graph::Graph graph;
};
struct ModelSizes {
  graph::Graph graph;
  std::vector<Variation> variations;
};

/// A dimension: its number in the graph and in each variation.
using Size = std::vector<int64_t>;
inline bool IsFixed(const Size& size) {
  for (const int64_t one : size)
    if (one != size[0]) return false;
  return true;
}

class SizeTable {
 public:
  /// `model` outlives this. REQUIRES: all its graphs have the same ops and values, sizes aside.
  explicit SizeTable(const ModelSizes& model);

  Size Of(graph::ValueId value, int dimension) const;
  std::vector<Size> Of(graph::ValueId value) const;
  /// Of a number that `read` takes from op number `op` of a graph.
  template <typename Read>
  Size OfOp(size_t op, const Read& read) const {
    Size size;
    for (const graph::Graph* graph : graphs_) size.push_back(read(*graph, graph->ops[op]));
    return size;
  }
  /// The name of a dimension that an input has; "" of others, and of fixed ones.
  std::string NameOf(const Size& size) const;

  /// Dimension `axis` of input `input`, where a size of a variation's name is first found.
  struct Source {
    std::string dimension;
    graph::ValueId input = graph::kNoValue;
    int axis = 0;
    Size size;
  };
  const std::vector<Source>& sources() const { return sources_; }

 private:
  std::vector<const graph::Graph*> graphs_;
  std::vector<Source> sources_;
};

}  // namespace lockstep::onnx
