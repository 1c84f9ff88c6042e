#include "data/formats/tar.h"

#include <gtest/gtest.h>

#include "tests/data/audio/audio_test_files.h"

namespace lockstep::data {
namespace {

TarArchive Read(const std::string& bytes) { return TarArchive(Bytes(bytes), {"x.tar", "data.train.speech.manifest"}); }

std::string Content(const TarArchive& archive, const std::string& name) {
  const auto bytes = archive.Find(name);
  if (!bytes) return "(none)";
  return {reinterpret_cast<const char*>(bytes->data()), bytes->size()};
}

TEST(TarArchive, FindsMembersByName) {
  const TarArchive archive =
      Read(TarMember("a/", "", '5') + TarMember("a/one", "1") + TarMember("./a/two", Pattern(1000)) +
           TarMember("empty", "") + TarMember("link", "", '2') + TarEnd());
  EXPECT_EQ(archive.size(), 3u);
  EXPECT_EQ(archive.first_name(), "a/one");
  EXPECT_EQ(Content(archive, "a/one"), "1");
  EXPECT_EQ(Content(archive, "./a/one"), "1");
  EXPECT_EQ(Content(archive, "a/two"), Pattern(1000));
  EXPECT_EQ(Content(archive, "empty"), "");
  EXPECT_EQ(Content(archive, "link"), "(none)");
  EXPECT_EQ(Content(archive, "one"), "(none)");
}

TEST(TarArchive, KeepsTheLastOfMembersOfOneName) {
  EXPECT_EQ(Content(Read(TarMember("a", "old") + TarMember("a", "new")), "a"), "new");
}

TEST(TarArchive, NeedsNoZerosAtItsEnd) {
  EXPECT_EQ(Content(Read(TarMember("a", std::string(512, 'x'))), "a").size(), 512u);
}

TEST(TarArchive, KnowsLongNames) {
  const std::string name(300, 'n'), other(180, 'm');
  const std::string pax = PaxRecord("mtime", "1") + PaxRecord("path", name);
  const TarArchive archive =
      Read(TarMember("pax_global_header", PaxRecord("comment", "x"), 'g') + TarMember("PaxHeaders/x", pax, 'x') +
           TarMember("cut", "of pax") + TarMember("././@LongLink", other + '\0', 'L') + TarMember("cut", "of GNU") +
           TarMember("name", "of ustar", '0', "a/prefix") + TarMember("plain", "last"));
  EXPECT_EQ(Content(archive, name), "of pax");
  EXPECT_EQ(Content(archive, other), "of GNU");
  EXPECT_EQ(Content(archive, "a/prefix/name"), "of ustar");
  EXPECT_EQ(Content(archive, "plain"), "last");
  EXPECT_EQ(archive.size(), 4u);
}

TEST(TarArchive, TakesSizesFromExtendedHeaders) {
  std::string member = TarMember("big", "12345");
  const std::string lying = TarMember("big", "");  // its own header says 0, as where a size has too many digits
  member.replace(0, 512, lying.substr(0, 512));
  const TarArchive archive =
      Read(TarMember("PaxHeaders/x", PaxRecord("size", "5"), 'x') + member + TarMember("next", "n"));
  EXPECT_EQ(Content(archive, "big"), "12345");
  EXPECT_EQ(Content(archive, "next"), "n");
}

TEST(TarArchive, NamesWhereItIsDamaged) {
  const std::string good = TarMember("a", Pattern(700)) + TarMember("b", "2");
  const auto expect = [](const std::string& bytes, const std::vector<std::string>& parts) {
    ExpectError(ErrorKind::kData, parts, [&] { Read(bytes); });
  };
  std::string flipped = good;
  flipped[1536 + 3] = 'x';
  expect(flipped, {"x.tar: no header of tar stands at byte 1536"});
  expect(good.substr(0, 900), {"x.tar: the archive is cut off: a has 700 bytes, but 388 follow"});
  expect(good.substr(0, 1600), {"x.tar: no header of tar stands at byte 1536"});
  expect("PK\x03\x04 and so on", {"byte 0"});
  expect(TarMember("PaxHeaders/x", "99 path=x\n", 'x') + TarMember("a", ""),
         {"the extended header in front of byte 1024"});
}

}  // namespace
}  // namespace lockstep::data
