#include "trainer/run/reporter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>

#include "base/json_fields.h"
#include "tests/base/error_of.h"
#include "tests/base/temporary_folder.h"

namespace lockstep::run {
namespace {

using testing::HasSubstr;

StepRow Row(uint64_t step) {
  StepRow row;
  row.step = step;
  return row;
}

TEST(Reporter, RowsThatCantBeWrittenAreSaidOnceAndCounted) {
  testing::internal::CaptureStderr();
  {
    Reporter reporter({.metrics_path = "/dev/full", .quiet = true});
    for (uint64_t step = 1; step <= 3; ++step) reporter.Log(Row(step));
  }
  const std::string said = testing::internal::GetCapturedStderr();
  const size_t first = said.find("can't write: No space left on device");
  EXPECT_NE(first, std::string::npos) << said;
  EXPECT_EQ(said.find("No space left", first + 40), std::string::npos) << said;
  EXPECT_THAT(said, HasSubstr("3 rows could not be written"));
}

// A limit of the file's size stands for a disk that is full for a while, in the middle of a row.
TEST(Reporter, ATornRowDoesNotSpoilTheNext) {
  const TemporaryFolder folder;
  const std::string path = folder / "metrics.jsonl";
  signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  getrlimit(RLIMIT_FSIZE, &before);
  testing::internal::CaptureStderr();
  {
    Reporter reporter({.metrics_path = path, .quiet = true});
    reporter.Log(Row(1));
    rlimit full = before;
    full.rlim_cur = ReadWholeFile(FileSystem::Real(), path).size() + 10;
    setrlimit(RLIMIT_FSIZE, &full);
    reporter.Log(Row(2));
    reporter.Log(Row(3));
    setrlimit(RLIMIT_FSIZE, &before);
    reporter.Log(Row(4));
  }
  testing::internal::GetCapturedStderr();
  std::vector<uint64_t> steps;
  for (const Json& row : ParseJsonRows(ReadWholeFile(FileSystem::Real(), path)))
    steps.push_back(FieldOr<uint64_t>(row, "step", 0));
  EXPECT_THAT(steps, testing::ElementsAre(1, 4));
}

TEST(Reporter, AFileThatCantBeOpenedIsAnErrorOfItsReasonsKind) {
  const Error error = ErrorOf([] { Reporter({.metrics_path = "/dev/null/metrics.jsonl"}); });
  EXPECT_EQ(error.kind(), ErrorKind::kUsage);
  EXPECT_EQ(error.where(), "/dev/null/metrics.jsonl");
}

}  // namespace
}  // namespace lockstep::run
