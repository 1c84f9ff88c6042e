// From a recipe's text to samples for a language model.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "data/data.pb.h"
#include "data/dataset.h"
#include "data/memory_dataset.h"
#include "data/text/tokenizers/tokenizer.h"

namespace lockstep::data {

/// How the tokens of a text become samples.
struct TextOptions {
  std::shared_ptr<const Tokenizer> tokenizer = nullptr;
  int64_t block = 0;      ///< tokens of a sample; 0 where data.train is no text
  bool training = false;  ///< epochs cut the text anew
  /// Ids that are not in the vocabulary are left to Read, for a caller who wants all of them.
  bool lists_errors = false;
};

/// Blocks of the tokens of `config`'s part of its file. `field` ("data.train.text") names the message in errors. Throws
/// Error(kData) for what is wrong with the file, Error(kUsage) for what is wrong with the message.
std::unique_ptr<Dataset> OpenText(const Text& config, const std::string& field, uint64_t seed,
                                  const TextOptions& options);

/// The same of files of token ids ("data.train.tokens").
std::unique_ptr<Dataset> OpenTokens(const Tokens& config, const std::string& field,
                                    const FingerprintOptions& fingerprint, const TextOptions& options);

}  // namespace lockstep::data
