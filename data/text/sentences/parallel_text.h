// Sentences and their translations, line by line from two files, as samples of tokens.
//
// Fields: "source" i32 [-1], the source's tokens and its end; "target" i32 [-1], the target's begin, its tokens and its
// end. (Their dimensions of -1 differ from each other.)
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "data/data.pb.h"
#include "data/dataset.h"
#include "data/text/sentences/sentence_vocabulary.h"

namespace lockstep::data {

/// The two sides of a corpus: as many lines on both.
struct ParallelLines {
  std::vector<std::string> source, target;
};

/// Both files of `config` (`field`: "data.train.parallel"). Throws Error(kData) where one is missing, empty or no
/// UTF-8, or they differ in their number of lines; Error(kUsage) where one is not named.
ParallelLines LoadParallelLines(const Parallel& config, const std::string& field);

/// Samples in the order of lines, with all tokens in memory. An empty line is an empty sentence. Pairs of which one
/// side has more than `longest` tokens, its end included, are left out, with a note of how many; 0: none. Throws
/// Error(kData) where none is left or (with `config`'s file and the line) a sentence can't be encoded.
std::unique_ptr<Dataset> MakeParallelText(const ParallelLines& lines, SentenceVocabulary vocabulary,
                                          const Parallel& config, uint32_t longest = 0);

/// The samples of `config`'s files (`field`: "data.train.parallel"). Throws as LoadParallelLines,
/// RequireSentenceVocabulary and MakeParallelText.
std::unique_ptr<Dataset> OpenParallel(const Parallel& config, const std::string& field,
                                      std::shared_ptr<const Tokenizer> tokenizer, uint32_t longest);

}  // namespace lockstep::data
