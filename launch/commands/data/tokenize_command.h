// `lockstep tokenize INPUT... -o FILE`: texts to a file of token ids, which recipes read with data { train { tokens }
// }.
#pragma once

#include <string>
#include <vector>

namespace lockstep::launch {

struct TokenizeOptions {
  std::vector<std::string> inputs;
  std::string output;
  /// One of: tokenizer.json; vocabulary and merges; a SentencePiece model; bytes.
  std::string tokenizer_json, vocabulary, merges, sentencepiece;
  bool bytes = false;
  bool force = false;  ///< replace the output
  int threads = 0;     ///< 0: all cores
};

/// Writes the file, with its progress on standard error, and prints what a recipe says of it. Throws Error(kUsage)
/// where the output is there and `force` isn't set or no tokenizer or several are named, and as data::WriteTokenFile.
int TokenizeCommand(const TokenizeOptions& options);

}  // namespace lockstep::launch
