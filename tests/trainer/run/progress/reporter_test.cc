#include "trainer/run/progress/reporter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>

#include "base/json_fields.h"
#include "tests/base/error_of.h"
#include "tests/base/temporary_folder.h"
#include "trainer/records/event_file.h"

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

TEST(Reporter, RowsSayHowLongTrainingWaitedAndEvaluationsTook) {
  const TemporaryFolder folder;
  const std::string path = folder / "metrics.jsonl";
  {
    Reporter reporter({.metrics_path = path, .quiet = true});
    StepRow row = Row(1);
    reporter.Log(row);
    row.data_seconds = 0.25;
    row.checkpoint_seconds = 0.5;
    reporter.Log(row);
    checkpoint::Evaluation evaluation;
    evaluation.set_split("test");
    reporter.Log(evaluation, 1, 1.5);
  }
  const std::vector<Json> rows = ParseJsonRows(ReadWholeFile(FileSystem::Real(), path));
  ASSERT_EQ(rows.size(), 3u);
  EXPECT_FALSE(rows[0].contains("data_seconds") || rows[0].contains("checkpoint_seconds"));
  EXPECT_EQ(rows[1]["data_seconds"], 0.25);
  EXPECT_EQ(rows[1]["checkpoint_seconds"], 0.5);
  EXPECT_EQ(rows[2]["evaluation_seconds"], 1.5);
}

TEST(Reporter, RowsAreThereForTensorBoardToo) {
  const TemporaryFolder folder;
  FileSystem& files = FileSystem::Real();
  {
    Reporter reporter({.metrics_path = folder / "metrics.jsonl",
                       .quiet = true,
                       .events = std::make_unique<records::EventFile>(
                           files, records::EventFile::Options{folder / "tensorboard", "host", 1, 0})});
    reporter.Log(Row(10));
    checkpoint::Evaluation evaluation;
    evaluation.set_step(10);
    evaluation.set_split("test");
    (*evaluation.mutable_metrics())["accuracy"] = 0.5;
    reporter.Log(evaluation, 1, 0.125);
  }
  const std::vector<std::string> names = files.List(folder / "tensorboard");
  ASSERT_EQ(names.size(), 1u);
  const std::string bytes = ReadWholeFile(files, folder / ("tensorboard/" + names.front()));
  for (const char* tag : {"train/loss", "train/learning_rate", "test/loss", "test/accuracy"})
    EXPECT_THAT(bytes, HasSubstr(tag));
  EXPECT_EQ(bytes.find("/epoch"), std::string::npos) << "where a row stands is no number of it";
}

TEST(Reporter, AFileThatCantBeOpenedIsAnErrorOfItsReasonsKind) {
  const Error error = ErrorOf([] { Reporter({.metrics_path = "/dev/null/metrics.jsonl"}); });
  EXPECT_EQ(error.kind(), ErrorKind::kUsage);
  EXPECT_EQ(error.where(), "/dev/null/metrics.jsonl");
}

StepRow Halfway() {
  StepRow row;
  row.step = 50;
  row.epoch = 1.5;
  row.loss = 0.25;
  row.accuracy = 0.75;
  row.samples_per_s = 1000;
  return row;
}

TEST(StatusText, IsWholeWhereThereIsRoom) {
  EXPECT_EQ(StatusText(Halfway(), 100, 3, 61, 200),
            "[############............] epoch 1.50/3  step 50/100  loss 0.2500  accuracy 0.7500  1000 samples/s  1:01 "
            "left");
}

TEST(StatusText, IsCutToTheColumnsThatThereAre) {
  for (int columns = 0; columns < 130; ++columns) {
    const std::string text = StatusText(Halfway(), 100, 3, 61, columns);
    EXPECT_LE(text.size(), static_cast<size_t>(columns));
    if (columns < 60) continue;
    EXPECT_THAT(text, testing::AllOf(HasSubstr("step 50/100"), HasSubstr("left"), HasSubstr("##")));
  }
  EXPECT_EQ(StatusText(Halfway(), 100, 3, 61, 30), "[########........] step 50/100");
  EXPECT_EQ(StatusText(Halfway(), 100, 3, 61, 8), "step 50/");
}

TEST(EpochText, IsShort) {
  EXPECT_EQ(EpochText(0), "0");
  EXPECT_EQ(EpochText(5), "5");
  EXPECT_EQ(EpochText(1000), "1000");
  EXPECT_EQ(EpochText(0.12), "0.12");
  EXPECT_EQ(EpochText(0.5), "0.5");
  EXPECT_EQ(EpochText(0.0042), "0.004");
  EXPECT_EQ(EpochText(12.346), "12.35");
}

TEST(EpochsTrained, AreWholeWhereLessThanAStepIsMissing) {
  EXPECT_EQ(EpochsTrained({.steps_per_epoch = 468.75}, 2343, 5), 5);
  EXPECT_EQ(EpochsTrained({.steps_per_epoch = 468.75}, 937, 0), 2);
  EXPECT_EQ(EpochsTrained({.steps_per_epoch = 44.9}, 5, 0.12), 0.12) << "0.12 epochs are 5.4 steps";
  EXPECT_DOUBLE_EQ(EpochsTrained({.steps_per_epoch = 44.9}, 5, 3), 5 / 44.9) << "stopped early";
  EXPECT_DOUBLE_EQ(EpochsTrained({.steps_per_epoch = 100}, 150, 0), 1.5);
  EXPECT_EQ(EpochsTrained({.steps_per_epoch = 100}, 100, 0), 1);
}

TEST(EpochsTrained, CountFromWhereBatchesChanged) {
  const optim::RunLength length{.steps_per_epoch = 10, .first_step = 100, .first_epoch = 2};
  EXPECT_EQ(EpochsTrained(length, 100, 0), 2);
  EXPECT_DOUBLE_EQ(EpochsTrained(length, 125, 0), 4.5);
}

TEST(ResultLine, SaysWhatPartOfAnEpochWasTrained) {
  ResultLine line;
  line.name = "x";
  line.step = 12;
  line.epoch = 0.12;
  EXPECT_THAT(Format(line), testing::StartsWith("done name=x step=12 epoch=0.12 loss="));
  line.epoch = 3;
  EXPECT_THAT(Format(line), HasSubstr(" epoch=3 loss="));
}

}  // namespace
}  // namespace lockstep::run
