#include "base/hash.h"

#define XXH_INLINE_ALL
#include <fmt/format.h>
#include <xxhash.h>

#include <array>

#include "base/error.h"

namespace lockstep {

uint64_t Hash64(std::span<const std::byte> bytes) { return XXH3_64bits(bytes.data(), bytes.size()); }

uint64_t Hash64(std::string_view bytes) { return XXH3_64bits(bytes.data(), bytes.size()); }

struct Hasher::State {
  XXH3_state_t state;
};

Hasher::Hasher() : state_(std::make_unique<State>()) { CHECK(XXH3_64bits_reset(&state_->state) == XXH_OK); }

Hasher::~Hasher() = default;

void Hasher::Add(std::span<const std::byte> bytes) {
  CHECK(XXH3_64bits_update(&state_->state, bytes.data(), bytes.size()) == XXH_OK || bytes.empty());
}

void Hasher::Add(std::string_view bytes) { Add(std::as_bytes(std::span(bytes.data(), bytes.size()))); }

void Hasher::AddInteger(uint64_t value) {
  std::array<std::byte, 8> bytes;
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(value >> (8 * i));
  Add(bytes);
}

uint64_t Hasher::Digest() const { return XXH3_64bits_digest(&state_->state); }

std::string HashText(uint64_t hash) { return fmt::format("{:016x}", hash); }

}  // namespace lockstep
