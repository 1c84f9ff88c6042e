#include "trainer/records/event_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "base/files/fault_file_system.h"
#include "tests/base/temporary_folder.h"
#include "trainer/records/tensorboard.pb.h"

namespace lockstep::records {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

/// The events in `bytes`; what is behind a record whose checksums don't hold is left out.
std::vector<Event> ReadEvents(const std::string& bytes) {
  std::vector<Event> events;
  for (size_t at = 0; at + 16 <= bytes.size();) {
    uint64_t length = 0;
    std::memcpy(&length, bytes.data() + at, sizeof(length));
    if (at + 16 + length > bytes.size()) break;
    const std::string data = bytes.substr(at + 12, length);
    if (bytes.compare(at, length + 16, FrameRecord(data)) != 0) break;
    EXPECT_TRUE(events.emplace_back().ParseFromString(data));
    at += length + 16;
  }
  return events;
}

class EventFiles : public testing::Test {
 protected:
  FileSystem& files() { return FileSystem::Real(); }
  std::vector<std::string> names() { return files().List(folder() + "/tensorboard"); }
  std::string bytes(const std::string& name) { return ReadWholeFile(files(), folder() + "/tensorboard/" + name); }
  const std::string& folder() const { return folder_.path(); }
  EventFile::Options options(uint32_t attempt = 1, uint64_t from_step = 0) {
    return {folder() + "/tensorboard", "a.host", attempt, from_step};
  }

 private:
  TemporaryFolder folder_;
};

TEST(Crc32c, IsCastagnolis) {
  const std::string digits = "123456789";
  EXPECT_EQ(Crc32c(std::as_bytes(std::span(digits))), 0xE3069283u);  // the check value of the catalogue of CRCs
  const std::string zeros(32, '\0');
  EXPECT_EQ(Crc32c(std::as_bytes(std::span(zeros))), 0x8A9136AAu);  // RFC 3720, B.4
}

TEST_F(EventFiles, HaveTheBytesThatTensorBoardReads) {
  {
    EventFile events(files(), options());
    events.Add(10, 1.5, {{"train/loss", 0.5}});
  }
  ASSERT_THAT(names(), ElementsAre("events.out.tfevents.1.a-host.0001"));
  const std::string file = bytes(names().front());
  // Wall time 1.5, step 0; file version.
  const std::string version(
      "\x09\0\0\0\0\0\0\xF8\x3F\x1A\x0D"
      "brain.Event:2",
      24);
  // Wall time, step 1, session log with status START.
  const std::string start("\x09\0\0\0\0\0\0\xF8\x3F\x10\x01\x3A\x02\x08\x01", 15);
  // Wall time, step 10, a summary of a value: the tag, 0.5 as a float.
  const std::string row(
      "\x09\0\0\0\0\0\0\xF8\x3F\x10\x0A\x2A\x13\x0A\x11\x0A\x0A"
      "train/loss"
      "\x15\0\0\0\x3F",
      32);
  EXPECT_EQ(file, FrameRecord(version) + FrameRecord(start) + FrameRecord(row));
  // The first record's frame, as TensorFlow writes it for 24 bytes.
  EXPECT_EQ(file.substr(0, 12), std::string("\x18\0\0\0\0\0\0\0\xA3\x7F\x4B\x22", 12));
}

TEST_F(EventFiles, AValueOfZeroIsThere) {
  { EventFile(files(), options()).Add(10, 1, {{"train/accuracy", 0}}); }
  const std::vector<Event> events = ReadEvents(bytes(names().front()));
  EXPECT_TRUE(events.at(2).summary().value(0).has_simple_value());
}

TEST_F(EventFiles, AnAttemptThatGoesOnTakesBackWhatCameBehindItsStep) {
  {
    EventFile first(files(), options(1)), second(files(), options(2, 20));
    first.Add(10, 100, {{"train/loss", 2}});
    first.Add(30, 101, {{"train/loss", 1}});
    second.Add(30, 102, {{"train/loss", 1}, {"train/accuracy", 0.25}});
  }
  ASSERT_EQ(names().size(), 2u);
  const std::vector<Event> events = ReadEvents(bytes(names()[1]));
  ASSERT_EQ(events.size(), 3u);
  EXPECT_EQ(events[1].session_log().status(), SessionLog::START);
  EXPECT_EQ(events[1].step(), 21) << "what is said of step 20 stays";
  EXPECT_EQ(events[2].summary().value(1).tag(), "train/accuracy");
}

TEST_F(EventFiles, LongOnesCanBeReadWhileTheyAreWritten) {
  EventFile events(files(), options());
  const std::string long_tag(10000, 'x');
  for (uint64_t step = 1; step <= 1000; ++step) {
    events.Add(step, 5, {{long_tag, 1}});
    if (step % 100 == 0) {
      ASSERT_EQ(ReadEvents(bytes(names().front())).size(), step + 2);
    }
  }
}

TEST_F(EventFiles, NothingIsWrittenWithoutValues) {
  { EventFile events(files(), options()); }
  EXPECT_TRUE(names().empty());
}

TEST_F(EventFiles, AFaultAnywhereIsSaidOnceAndHurtsNobody) {
  for (const Fault fault : {Fault::kFail, Fault::kShorten})
    for (int at = 1;; ++at) {
      files().RemoveAll(folder() + "/tensorboard");
      FaultFileSystem failing(files(), {.at = at, .fault = fault, .error_number = ENOSPC});
      testing::internal::CaptureStderr();
      {
        EventFile events(failing, options());
        for (uint64_t step = 1; step <= 4; ++step) events.Add(step, 5, {{"train/loss", 1}});
      }
      const std::string said = testing::internal::GetCapturedStderr();
      if (failing.count() < at) {
        EXPECT_GT(at, 5);
        break;
      }
      EXPECT_THAT(said, HasSubstr("training goes on"));
      EXPECT_EQ(said.find("training goes on"), said.rfind("training goes on"));
      // A reader finds whole records up to the fault.
      for (const std::string& name : names()) EXPECT_LT(ReadEvents(bytes(name)).size(), 6u);
    }
}

}  // namespace
}  // namespace lockstep::records
