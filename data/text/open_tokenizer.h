// From a recipe to its vocabulary.
#pragma once

#include <memory>

#include "data/data.pb.h"
#include "data/text/sentences/sentence_vocabulary.h"
#include "data/text/tokenizers/tokenizer.h"

namespace lockstep::data {

/// The tokenizer that `config` says; null where it says none and data.train is not `text`. Throws as OpenDataset.
std::shared_ptr<const Tokenizer> OpenTokenizer(const DataConfig& config);

/// The vocabulary of `config`, whose training data is parallel text: its tokenizer's files alone are read (of
/// characters: the training text). Throws Error(kUsage) where data.tokenizer is not set, and as OpenTokenizer.
SentenceVocabulary OpenSentenceVocabulary(const DataConfig& config);

}  // namespace lockstep::data
