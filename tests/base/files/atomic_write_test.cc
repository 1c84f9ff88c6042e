#include "base/files/atomic_write.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <fstream>
#include <mutex>
#include <set>
#include <sstream>
#include <thread>

#include "base/error.h"
#include "tests/base/temporary_folder.h"

namespace lockstep {
namespace {

using ::testing::ElementsAre;

std::span<const std::byte> Bytes(std::string_view text) { return std::as_bytes(std::span(text)); }

/// The file by way of the standard library.
std::string Contents(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

class AtomicWriteTest : public ::testing::Test {
 protected:
  FileSystem& files_ = FileSystem::Real();
  TemporaryFolder folder_;
};

TEST_F(AtomicWriteTest, WholeFilesComeBackAsWritten) {
  const std::string bytes("a\0b\n", 4);
  WriteFileAtomically(files_, folder_ / "a", "before");
  WriteFileAtomically(files_, folder_ / "a", bytes);
  EXPECT_EQ(ReadWholeFile(files_, folder_ / "a"), bytes);
  EXPECT_EQ(Contents(folder_ / "a"), bytes);
  EXPECT_THAT(files_.List(folder_.path()), ElementsAre("a")) << "no temporary file stays";
  WriteFileAtomically(files_, folder_ / "empty", "");
  EXPECT_EQ(ReadWholeFile(files_, folder_ / "empty"), "");
}

TEST_F(AtomicWriteTest, TemporaryNamesAreNobodyElses) {
  std::mutex mutex;
  std::set<std::string> names;
  std::vector<std::thread> writers;
  for (int t = 0; t < 4; ++t)
    writers.emplace_back([&] {
      for (int i = 0; i < 100; ++i) {
        const std::string name = TemporaryName("/runs/x/verdict.json");
        const std::lock_guard lock(mutex);
        names.insert(name);
      }
    });
  for (std::thread& writer : writers) writer.join();
  EXPECT_EQ(names.size(), 400u);
  for (const std::string& name : names) {
    EXPECT_TRUE(IsTemporaryOf(name, "/runs/x/verdict.json")) << name;
    EXPECT_FALSE(IsTemporaryOf(name, "/runs/x/done.json")) << name;
  }
  EXPECT_TRUE(IsTemporaryOf("a.json.tmp", "a.json")) << "of older versions";
  for (const char* other : {"a.json", "a.json.bak.tmp", "a.json.0123456789abcdeX.tmp", "xa.json.tmp", ".tmp"})
    EXPECT_FALSE(IsTemporaryOf(other, "a.json")) << other;
}

// Each writes texts of another length: what is torn, or a mixture, shows.
TEST_F(AtomicWriteTest, ManyWritersOfOneFileLeaveOneOfTheirTextsWhole) {
  std::vector<std::thread> writers;
  std::atomic<int> failures{0};
  for (int t = 0; t < 6; ++t)
    writers.emplace_back([&, t] {
      try {
        for (int i = 0; i < 50; ++i)
          WriteAtomically(files_, folder_ / "verdict", Durability::kProcess, [&](WritableFile& file) {
            for (int part = 0; part < 3; ++part)
              file.Append(Bytes(std::string(1000 * static_cast<size_t>(t + 1), static_cast<char>('a' + t))));
          });
      } catch (const Error&) {
        ++failures;
      }
    });
  for (std::thread& writer : writers) writer.join();
  EXPECT_EQ(failures, 0);
  const std::string text = ReadWholeFile(files_, folder_ / "verdict");
  EXPECT_EQ(text, std::string(3000 * static_cast<size_t>(text[0] - 'a' + 1), text[0]));
  EXPECT_THAT(files_.List(folder_.path()), ElementsAre("verdict"));
}

}  // namespace
}  // namespace lockstep
