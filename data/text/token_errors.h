// What all tokenizers say alike, and how they get at their files.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"

namespace lockstep::data {

/// Error(kData): the vocabulary lacks the character at byte `at` of `text`.
Error LacksCharacter(std::string_view text, size_t at);

/// Error(kData): there is no token `id`.
Error NoSuchId(int32_t id, int32_t size);

/// Error(kData) with the file as its place.
Error DamagedFile(const std::string& path, std::string message, const std::string& place = "");

/// Error(kUsage): the file is good, but asks for what is not here.
Error UnsupportedFile(const std::string& path, std::string message);

/// The file's bytes, unpacked where it is gzipped. Throws Error(kData).
std::string LoadTextFile(const std::string& path);

}  // namespace lockstep::data
