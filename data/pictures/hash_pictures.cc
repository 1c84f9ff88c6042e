#include "data/pictures/hash_pictures.h"

#include <algorithm>
#include <span>
#include <string>
#include <vector>

#include "base/philox.h"

namespace lockstep::data {
namespace {

/// Whether all pictures together have at most `most` bytes; looks at no more of them than it needs to know.
bool FitIn(const PictureStore& store, uint64_t most) {
  uint64_t sum = 0;
  for (uint64_t id = 0; id < store.size(); ++id)
    if ((sum += store.Bytes(id)) > most) return false;
  return true;
}

}  // namespace

void AddText(const std::string& text, Hasher& hasher) {
  hasher.AddInteger(text.size());
  hasher.Add(text);
}

void HashNames(const PictureStore& store, Hasher& hasher) {
  hasher.AddInteger(store.size());
  for (uint64_t id = 0; id < store.size(); ++id) AddText(store.Name(id), hasher);
}

void HashFiles(const PictureStore& store, const FingerprintOptions& options, Hasher& hasher) {
  constexpr uint64_t kFiles = 4096, kFileBytes = uint64_t{64} << 10;
  std::vector<std::byte> bytes;
  const auto add_file = [&](uint64_t id, uint64_t most) {
    store.Read(id, bytes);
    hasher.AddInteger(bytes.size());
    hasher.Add(std::span(bytes).first(std::min<uint64_t>(bytes.size(), most)));
  };
  if (options.verify == Verify::FULL || FitIn(store, options.whole_up_to)) {
    for (uint64_t id = 0; id < store.size(); ++id) add_file(id, UINT64_MAX);
  } else {
    for (uint64_t i = 0; i < kFiles; ++i) add_file(Mix64(Mix64(options.seed) + i) % store.size(), kFileBytes);
  }
}

}  // namespace lockstep::data
