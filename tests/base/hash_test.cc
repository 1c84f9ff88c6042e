#include "base/hash.h"

#include <gtest/gtest.h>

#include <vector>

namespace lockstep {
namespace {

/// The buffer over which xxHash's own sanity check takes its hashes.
std::vector<std::byte> SanityBuffer(size_t size) {
  std::vector<std::byte> buffer(size);
  uint64_t generator = 2654435761u;
  for (std::byte& byte : buffer) {
    byte = static_cast<std::byte>(generator >> 56);
    generator *= 11400714785074694797u;
  }
  return buffer;
}

// XXH3_64bits without a seed, in the sanity check of xxHash 0.8.
TEST(Hash, MatchesThePublishedValuesOfXxh3) {
  const std::vector<std::byte> buffer = SanityBuffer(2367);
  const std::pair<size_t, uint64_t> published[] = {
      {0, 0x2D06800538D394C2},   {1, 0xC44BDFF4074EECDB},   {6, 0x27B56A84CD2D7325},    {12, 0xA713DAF0DFBB77E7},
      {24, 0xA3FE70BF9D3510EB},  {48, 0x397DA259ECBA1F11},  {80, 0xBCDEFBBB2C47C90A},   {195, 0xCD94217EE362EC3A},
      {403, 0xCDEB804D65C6DEA4}, {512, 0x617E49599013CB6B}, {2048, 0xDD59E2C3A5F038E0}, {2367, 0xCB37AEB9E5D361ED},
  };
  for (const auto& [size, hash] : published) EXPECT_EQ(Hash64(std::span(buffer).first(size)), hash) << size << " bytes";
}

TEST(Hash, PartsHashAsTheirConcatenation) {
  const std::vector<std::byte> buffer = SanityBuffer(3000);
  for (size_t part : {1u, 7u, 64u, 255u, 256u, 1024u, 2999u}) {
    Hasher hasher;
    for (size_t at = 0; at < buffer.size(); at += part) {
      hasher.Add(std::span(buffer).subspan(at, std::min(part, buffer.size() - at)));
    }
    EXPECT_EQ(hasher.Digest(), Hash64(buffer)) << "in parts of " << part;
    EXPECT_EQ(hasher.Digest(), hasher.Digest()) << "taking the digest changes nothing";
  }
}

TEST(Hash, NothingAddedIsTheHashOfNothing) {
  Hasher hasher;
  hasher.Add(std::string_view());
  hasher.Add(std::span<const std::byte>());
  EXPECT_EQ(hasher.Digest(), Hash64(std::string_view()));
}

TEST(Hash, IntegersAreAddedLittleEndian) {
  Hasher hasher;
  hasher.AddInteger(0x0807060504030201u);
  EXPECT_EQ(hasher.Digest(), Hash64(std::string_view("\1\2\3\4\5\6\7\10")));
}

TEST(Hash, TextHasSixteenLowerCaseDigits) {
  EXPECT_EQ(HashText(0), "0000000000000000");
  EXPECT_EQ(HashText(0x0123456789ABCDEF), "0123456789abcdef");
}

}  // namespace
}  // namespace lockstep
