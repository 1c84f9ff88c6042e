// From a recipe's text to samples for a language model.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "data/data.pb.h"
#include "data/dataset.h"
#include "data/open_dataset.h"

namespace lockstep::data {

/// Blocks of the tokens of `config`'s part of its file. `field` ("data.train.text") names the message in errors. Throws
/// Error(kData) for what is wrong with the file, Error(kUsage) for what is wrong with the message.
std::unique_ptr<Dataset> OpenText(const Text& config, const std::string& field, uint64_t seed,
                                  const SequenceOptions& options);

/// The same of files of token ids ("data.train.tokens").
std::unique_ptr<Dataset> OpenTokens(const Tokens& config, const std::string& field, uint64_t seed, Verify::Value verify,
                                    const SequenceOptions& options);

}  // namespace lockstep::data
