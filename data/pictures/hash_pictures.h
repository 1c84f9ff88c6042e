// What a fingerprint says of encoded pictures.
#pragma once

#include <string>

#include "base/hash.h"
#include "data/memory_dataset.h"
#include "data/pictures/picture_store.h"

namespace lockstep::data {

/// A text of any length: what comes behind it can't be taken for its end.
void AddText(const std::string& text, Hasher& hasher);
/// Adds the names of all, and the bytes of all files up to 1 GiB; of more, of 4,096 files chosen by the seed their
/// sizes and first 64 KiB (other files' sizes are not asked for, which would take minutes of a million). Throws
/// Error(kData).
void HashNames(const PictureStore& store, Hasher& hasher);
void HashFiles(const PictureStore& store, const FingerprintOptions& options, Hasher& hasher);

}  // namespace lockstep::data
