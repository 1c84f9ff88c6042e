// Files of token ids, as nanoGPT (https://github.com/karpathy/nanoGPT) and llm.c (https://github.com/karpathy/llm.c)
// write them: little-endian ids of 16 bits (or, where that is said, 32 or 64) and nothing else; or behind a header of
// 256 32-bit integers, of which the first three are 20240520, 1 and the number of 16-bit ids, or 20240801, 7 and that
// of 32-bit ids. NumPy's .npy (NEP 1) is read as well.
//
// Files are read where samples lie, never whole: they may be larger than memory. (They are not mapped: a mapped file
// that somebody shortens ends the process; this is an error with its path.)
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "data/memory_dataset.h"
#include "data/text/token_blocks.h"

namespace lockstep::data {

struct TokenFilesOptions {
  int32_t vocabulary = 0;     ///< ids are below it
  double begin = 0, end = 1;  ///< the part of all tokens that counts
  int id_bytes = 0;           ///< of files without a header: 2, 4 or 8; 0: 2, and what looks like another is refused
  bool check_ids = true;      ///< of all bytes that the fingerprint reads
  FingerprintOptions fingerprint = {};
};

/// All tokens of `paths`, one file after the other. `field` names the recipe's message ("data.train.tokens"). Throws
/// Error(kData) where a file is missing, damaged or of another kind, or an id that is read is not in the vocabulary;
/// Read throws it too.
std::unique_ptr<TokenSource> OpenTokenFiles(const std::vector<std::string>& paths, const std::string& field,
                                            const TokenFilesOptions& options);

}  // namespace lockstep::data
