// A model as rows for people: what each op reads, what comes out, and how many numbers it has learned.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "trainer/graph/graph.h"

namespace lockstep::launch {

struct ModelRow {
  std::string name;
  std::string kind;                  ///< "conv2d", "input"
  std::string result = {};           ///< "[32, 28, 28, 1]", with the batch
  int64_t parameters = 0;            ///< that no row before has
  std::vector<size_t> readers = {};  ///< rows that read its results
  std::vector<size_t> reads = {};    ///< rows whose results it reads
};

/// Inputs and ops of a forward graph, in order. Reshapes that only give a result another shape are rows too.
std::vector<ModelRow> RowsOf(const graph::Graph& forward);

/// A table for terminals: NAME, KIND, RESULT, PARAMETERS, READS (where that is not the row before).
std::string ModelText(const std::vector<ModelRow>& rows);

/// A page that draws the model: a box an op, from top to bottom, and at the side the ways of results that are read
/// further down.
std::string ModelPage(const std::string& title, const std::vector<ModelRow>& rows);

}  // namespace lockstep::launch
