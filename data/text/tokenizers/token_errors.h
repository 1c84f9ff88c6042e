// What all tokenizers say alike, and how they get at their files.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/error.h"
#include "data/text/tokenizers/tokenizer.h"

namespace lockstep::data {

/// Error(kData): the vocabulary lacks the character at byte `at` of `text`.
Error LacksCharacter(std::string_view text, size_t at);

/// Error(kData): there is no token `id`.
Error NoSuchId(int32_t id, int32_t size);

/// Error(kData) with the file as its place.
Error DamagedFile(const std::string& path, std::string message, const std::string& place = "");

/// Error(kUsage): the file is good, but asks for what is not here.
Error UnsupportedFile(const std::string& path, std::string message);

/// Throws Error(kData) with the line of the first byte of `text`, which begins in line `line` of `path`, that is no
/// UTF-8.
void RequireUtf8(std::string_view text, const std::string& path, uint64_t line = 1);

/// Warns where more than one in twenty of `count` tokens of `what` are `unknown`: most likely the vocabulary is of
/// another language or script, and a model would learn nothing of the text.
void WarnOfUnknown(const std::string& what, uint64_t unknown, uint64_t count);

/// How many of `ids` are the tokenizer's unknown token.
uint64_t CountUnknown(std::span<const int32_t> ids, const Tokenizer& tokenizer);

/// The file's bytes, unpacked where it is gzipped. Throws Error(kData).
std::string LoadTextFile(const std::string& path);

}  // namespace lockstep::data
