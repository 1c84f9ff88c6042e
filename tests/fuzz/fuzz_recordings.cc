// Any bytes as a manifest of recordings or as an archive: entries, members whose bytes can be read, or Error(kData),
// and nothing else.
//
// The first byte says which.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <vector>

#include "base/error.h"
#include "data/formats/archive.h"
#include "data/formats/manifest.h"
#include "data/utf8.h"

namespace {

using namespace lockstep::data;

void Require(bool condition) {
  if (!condition) std::abort();
}

void ReadList(std::span<const std::byte> bytes) {
  for (const ManifestEntry& entry : ReadManifest(bytes, {"manifest", "data.train.speech.manifest"})) {
    Require(!entry.path.empty() && entry.line >= 1);
    Require(ValidPrefix(entry.transcript) == entry.transcript.size());
  }
}

void ReadArchive(std::span<const std::byte> bytes) {
  const Archive archive({bytes.begin(), bytes.end()}, {"x.tar", "data.train.speech.manifest"});
  Require((archive.size() == 0) == !archive.Find(archive.first_name()).has_value());
  for (const char* name : {"a.wav", "d/b.wav"}) {
    uint64_t sum = 0;
    for (const std::byte byte : archive.Find(name).value_or(std::span<const std::byte>()))
      sum += std::to_integer<uint64_t>(byte);
    Require(sum <= 255 * 1032 * bytes.size());  // what deflate may unpack to
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const auto bytes = std::as_bytes(std::span(data, size)).subspan(1);
  try {
    if (data[0] % 2 == 0) {
      ReadList(bytes);
    } else {
      ReadArchive(bytes);
    }
  } catch (const lockstep::Error& error) {
    if (error.kind() != lockstep::ErrorKind::kData) throw;
  }
  return 0;
}
