// A recipe's tokenizer as files for Hugging Face's `transformers`.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "data/data.pb.h"

namespace lockstep::launch {

struct ExportedTokenizer {
  std::map<std::string, std::string> files;  ///< bytes by name; none where the data are no text
  int32_t size = 0;                          ///< of the vocabulary
  int32_t begin = -1, end = -1;              ///< ids; -1: none
};

/// Files with which AutoTokenizer.from_pretrained gives the ids that ours gives. Two things are left that
/// `transformers` does in its own way: special tokens that a text names are special there, and a character that the
/// alphabet lacks is passed over. `context`: how many tokens the model takes. Throws Error(kData, kUsage) as
/// data::OpenTokenizer.
ExportedTokenizer ExportTokenizer(const data::DataConfig& config, int64_t context);

}  // namespace lockstep::launch
