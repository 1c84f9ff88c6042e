// How a model that writes token by token is asked to go on.
#pragma once

#include <cstdint>

namespace lockstep::graph {

/// `tokens` more positions of `rows` sequences that may come to `capacity`.
struct StepShape {
  int64_t rows = 1, tokens = 1, capacity = 0;
  int64_t source = 0;  ///< of a translator: positions of the source
  bool logits = true;  ///< false: it only reads
};

}  // namespace lockstep::graph
