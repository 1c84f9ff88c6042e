// Recipes for texts, files of token ids, recordings, and sentences with their translations.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "launch/draft/draft.h"

namespace lockstep::launch {

/// Of `text`, the content of options.path.
Draft DraftText(std::span<const std::byte> text, const DraftOptions& options);
/// Of the .bin or .npy file options.path. Throws Error(kData) where it is none.
Draft DraftTokens(const DraftOptions& options);
/// Of `manifest`, the content of options.path. Throws Error(kData) where it is none.
Draft DraftSpeech(std::span<const std::byte> manifest, const DraftOptions& options);
/// Of options.path and its translation.
Draft DraftTranslation(const std::string& translation, const DraftOptions& options);

}  // namespace lockstep::launch
