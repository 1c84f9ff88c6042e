#include "data/formats/archive.h"

#include <gtest/gtest.h>

#include "tests/data/audio/audio_test_files.h"

namespace lockstep::data {
namespace {

Archive Read(const std::string& bytes) { return Archive(Bytes(bytes), {"x.tar", "data.train.speech.manifest"}); }

std::string Content(const Archive& archive, const std::string& name) {
  const auto bytes = archive.Find(name);
  if (!bytes) return "(none)";
  return {reinterpret_cast<const char*>(bytes->data()), bytes->size()};
}

TEST(Archive, FindsMembersByName) {
  const Archive archive =
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

TEST(Archive, KeepsTheLastOfMembersOfOneName) {
  EXPECT_EQ(Content(Read(TarMember("a", "old") + TarMember("a", "new")), "a"), "new");
}

TEST(Archive, NeedsNoZerosAtItsEnd) {
  EXPECT_EQ(Content(Read(TarMember("a", std::string(512, 'x'))), "a").size(), 512u);
}

TEST(Archive, KnowsLongNames) {
  const std::string name(300, 'n'), other(180, 'm');
  const std::string pax = PaxRecord("mtime", "1") + PaxRecord("path", name);
  const Archive archive =
      Read(TarMember("pax_global_header", PaxRecord("comment", "x"), 'g') + TarMember("PaxHeaders/x", pax, 'x') +
           TarMember("cut", "of pax") + TarMember("././@LongLink", other + '\0', 'L') + TarMember("cut", "of GNU") +
           TarMember("name", "of ustar", '0', "a/prefix") + TarMember("plain", "last"));
  EXPECT_EQ(Content(archive, name), "of pax");
  EXPECT_EQ(Content(archive, other), "of GNU");
  EXPECT_EQ(Content(archive, "a/prefix/name"), "of ustar");
  EXPECT_EQ(Content(archive, "plain"), "last");
  EXPECT_EQ(archive.size(), 4u);
}

TEST(Archive, TakesSizesFromExtendedHeaders) {
  std::string member = TarMember("big", "12345");
  const std::string lying = TarMember("big", "");  // its own header says 0, as where a size has too many digits
  member.replace(0, 512, lying.substr(0, 512));
  const Archive archive =
      Read(TarMember("PaxHeaders/x", PaxRecord("size", "5"), 'x') + member + TarMember("next", "n"));
  EXPECT_EQ(Content(archive, "big"), "12345");
  EXPECT_EQ(Content(archive, "next"), "n");
}

TEST(Archive, NamesWhereItIsDamaged) {
  const std::string good = TarMember("a", Pattern(700)) + TarMember("b", "2");
  const auto expect = [](const std::string& bytes, const std::vector<std::string>& parts) {
    ExpectError(ErrorKind::kData, parts, [&] { Read(bytes); });
  };
  std::string flipped = good;
  flipped[1536 + 3] = 'x';
  expect(flipped,
         {"x.tar: the archive is damaged", "near byte 2048, behind a", "2560 bytes", "data.train.speech.manifest"});
  expect(good.substr(0, 900),
         {"x.tar: the archive is damaged or cut off", "in a, which begins at byte 0", "900 bytes"});
  expect(good.substr(0, 1600), {"x.tar: the archive is damaged or cut off", "near byte 1536, behind a"});
  expect("PK\x03\x04 and so on", {"x.tar", "near byte 0;"});
  expect(std::string(700, 'x'), {"x.tar", "no tar or zip", "near byte 0;"});
  expect(TarMember("PaxHeaders/x", "99 path=x\n", 'x') + TarMember("a", ""), {"x.tar: the archive is damaged"});
}

TEST(Archive, OfNoBytesHasNoMembers) {
  for (const std::string& bytes : {std::string(), TarEnd()}) {
    EXPECT_EQ(Read(bytes).size(), 0u);
    EXPECT_EQ(Read(bytes).first_name(), "");
  }
}

TEST(Archive, FollowsHardLinks) {
  const std::string link = TarMember("again", "", '1');
  std::string header = link.substr(0, 512);
  header.replace(157, 5, "a/one");
  unsigned sum = 0;
  header.replace(148, 8, "        ");
  for (const char byte : header) sum += static_cast<uint8_t>(byte);
  header.replace(148, 7, fmt::format("{:06o}", sum) + '\0');
  const Archive archive = Read(TarMember("a/one", "1") + header + TarEnd());
  EXPECT_EQ(Content(archive, "again"), "1");
}

TEST(Archive, FillsHolesOfSparseMembersWithZeros) {
  // GNU tar's --sparse in format 1.0: the map of what is there stands in front of the bytes.
  std::string map = "2\n0\n3\n1000\n3\n";
  map.resize(512);
  const std::string pax = PaxRecord("GNU.sparse.major", "1") + PaxRecord("GNU.sparse.minor", "0") +
                          PaxRecord("GNU.sparse.name", "holes") + PaxRecord("GNU.sparse.realsize", "2000");
  const Archive archive =
      Read(TarMember("PaxHeaders/x", pax, 'x') + TarMember("GNUSparseFile.0/holes", map + "abcdef") + TarEnd());
  std::string expected(2000, '\0');
  expected.replace(0, 3, "abc");
  expected.replace(1000, 3, "def");
  EXPECT_EQ(Content(archive, "holes"), expected);
}

TEST(Archive, RefusesHolesThatNoRecordingHas) {
  std::string map = "2\n0\n3\n8000000000000\n3\n";
  map.resize(512);
  const std::string pax = PaxRecord("GNU.sparse.major", "1") + PaxRecord("GNU.sparse.minor", "0") +
                          PaxRecord("GNU.sparse.name", "holes") + PaxRecord("GNU.sparse.realsize", "8000000000003");
  const std::string bytes =
      TarMember("PaxHeaders/x", pax, 'x') + TarMember("GNUSparseFile.0/holes", map + "abcdef") + TarEnd();
  ExpectError(ErrorKind::kData, {"x.tar", "holes unpacks to far more than it may"}, [&] { Read(bytes); });
}

TEST(Archive, NamesBeyondAsciiHangOnNoLocale) {
  const std::string composed =
                        "gr\xC3\xB6\xC3\x9F"
                        "e",
                    decomposed =
                        "gro\xCC\x88\xC3\x9F"
                        "e";
  for (const std::string& name : {composed, decomposed}) {
    const Archive archive = Read(TarMember("PaxHeaders/x", PaxRecord("path", name), 'x') + TarMember("cut", "of pax") +
                                 TarMember("plain/" + name, "of ustar"));
    EXPECT_EQ(Content(archive, name), "of pax");
    EXPECT_EQ(Content(archive, composed), "of pax");
    EXPECT_EQ(Content(archive, "plain/" + name), "of ustar");
  }
}

TEST(Archive, OfZipHasItsMembersUnpacked) {
  // Python's zipfile, deflated: "a/one", which holds "1", and "größe", which holds "xyz" a hundred times.
  const unsigned char bytes[] = {
      0x50, 0x4b, 0x03, 0x04, 0x14, 0x00, 0x00, 0x00, 0x08, 0x00, 0x00, 0x00, 0x21, 0x50, 0xb7, 0xef, 0xdc, 0x83,
      0x03, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x05, 0x00, 0x00, 0x00, 0x61, 0x2f, 0x6f, 0x6e, 0x65, 0x33,
      0x04, 0x00, 0x50, 0x4b, 0x03, 0x04, 0x14, 0x00, 0x00, 0x08, 0x08, 0x00, 0x00, 0x00, 0x21, 0x50, 0x93, 0xd0,
      0x31, 0x7d, 0x09, 0x00, 0x00, 0x00, 0x2c, 0x01, 0x00, 0x00, 0x07, 0x00, 0x00, 0x00, 0x67, 0x72, 0xc3, 0xb6,
      0xc3, 0x9f, 0x65, 0xab, 0xa8, 0xac, 0xaa, 0x18, 0x45, 0xc4, 0x21, 0x00, 0x50, 0x4b, 0x01, 0x02, 0x14, 0x03,
      0x14, 0x00, 0x00, 0x00, 0x08, 0x00, 0x00, 0x00, 0x21, 0x50, 0xb7, 0xef, 0xdc, 0x83, 0x03, 0x00, 0x00, 0x00,
      0x01, 0x00, 0x00, 0x00, 0x05, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x80, 0x01,
      0x00, 0x00, 0x00, 0x00, 0x61, 0x2f, 0x6f, 0x6e, 0x65, 0x50, 0x4b, 0x01, 0x02, 0x14, 0x03, 0x14, 0x00, 0x00,
      0x08, 0x08, 0x00, 0x00, 0x00, 0x21, 0x50, 0x93, 0xd0, 0x31, 0x7d, 0x09, 0x00, 0x00, 0x00, 0x2c, 0x01, 0x00,
      0x00, 0x07, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x80, 0x01, 0x26, 0x00, 0x00,
      0x00, 0x67, 0x72, 0xc3, 0xb6, 0xc3, 0x9f, 0x65, 0x50, 0x4b, 0x05, 0x06, 0x00, 0x00, 0x00, 0x00, 0x02, 0x00,
      0x02, 0x00, 0x68, 0x00, 0x00, 0x00, 0x54, 0x00, 0x00, 0x00, 0x00, 0x00};
  const std::string zip(reinterpret_cast<const char*>(bytes), sizeof(bytes));
  const Archive archive = Read(zip);
  EXPECT_EQ(archive.size(), 2u);
  EXPECT_EQ(archive.first_name(), "a/one");
  EXPECT_EQ(Content(archive, "a/one"), "1");
  std::string expected;
  for (int i = 0; i < 100; ++i) expected += "xyz";
  EXPECT_EQ(Content(archive,
                    "gr\xC3\xB6\xC3\x9F"
                    "e"),
            expected);
  std::string damaged = zip;
  damaged[36] ^= 1;
  ExpectError(ErrorKind::kData, {"x.tar: the archive is damaged"}, [&] { Read(damaged); });
}

TEST(Archive, EndsInPathsWhereAMembersNameBegins) {
  for (const std::string archive : {"a.tar", "a.tar.gz", "a.tgz", "d:e/a.zip"})
    EXPECT_EQ(MemberBegin(archive + ":b.tar:c"), archive.size() + 1) << archive;
  for (const std::string path : {"a.wav", "a.tar", "a.zip.wav"})
    EXPECT_EQ(MemberBegin(path), std::string::npos) << path;
}

}  // namespace
}  // namespace lockstep::data
