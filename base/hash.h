// XXH3-64, the one hash of the project (checkpoints' chunks, weights, data fingerprints). Not cryptographic.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace lockstep {

uint64_t Hash64(std::span<const std::byte> bytes);
uint64_t Hash64(std::string_view bytes);

/// A hash over bytes that come in parts; equal to Hash64 of their concatenation.
class Hasher {
 public:
  Hasher();
  ~Hasher();
  Hasher(const Hasher&) = delete;
  Hasher& operator=(const Hasher&) = delete;

  void Add(std::span<const std::byte> bytes);
  void Add(std::string_view bytes);
  /// Adds the eight bytes of `value`, little-endian.
  void AddInteger(uint64_t value);
  uint64_t Digest() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Sixteen lower-case hexadecimal digits.
std::string HashText(uint64_t hash);

}  // namespace lockstep
