#include "launch/report/report_page.h"

#include <fmt/format.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>

#include "base/error.h"
#include "launch/report/time_use.h"
#include "tests/launch/report/run_files.h"
#include "trainer/records/evaluation_record.h"

namespace lockstep::launch {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

constexpr double kNow = 2000;

std::string PageOf(const RunFiles& files, const std::vector<std::string>& names) {
  std::vector<RunRecord> runs;
  for (const std::string& name : names) runs.push_back(ReadRun(files / name, kNow));
  return ReportPage(std::move(runs));
}

int Count(const std::string& text, const std::string& part) {
  int count = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

void ExpectWhole(const std::string& page) {
  EXPECT_THAT(page, testing::StartsWith("<!DOCTYPE html>\n<html lang=\"en\">"));
  EXPECT_THAT(page, testing::EndsWith("</html>\n"));
  for (const std::string name : {"svg", "table", "tr", "td", "div", "figure", "details", "p", "ul"})
    EXPECT_EQ(Count(page, "<" + name + ">") + Count(page, "<" + name + " "), Count(page, "</" + name + ">")) << name;
  for (const char* other : {"<script", "http:", "https:", "url(", "@import", "nan ", "\"nan", "inf "})
    EXPECT_THAT(page, Not(HasSubstr(other)));
}

TEST(ReportPage, OfARunSaysWhatItIsAndHowItEnded) {
  const RunFiles files;
  files.WriteWholeRun("digits");
  const std::string page = PageOf(files, {"digits"});
  ExpectWhole(page);
  EXPECT_THAT(page, HasSubstr("<h1>digits</h1>"));
  EXPECT_THAT(page, HasSubstr("<span class=\"state done\">done</span>step 40 of 40, epoch 4"));
  EXPECT_THAT(page, HasSubstr("<code>done name=digits step=40</code>"));
  EXPECT_THAT(page, HasSubstr("mlp { hidden: [8] }"));
  EXPECT_THAT(page,
              HasSubstr("It overfits: validation loss was best, 0.25 at step 20 (epoch 2), and has got worse since, "
                        "to 0.75 at step 40 (epoch 4); training loss is 0.025 there, a gap of 0.725."));
  for (const char* chart : {"Loss", "Accuracy", "Learning rate", "Throughput, samples per second",
                            "Norm of the gradient", "Progress over time"})
    EXPECT_THAT(page, HasSubstr("<figcaption>" + std::string(chart))) << chart;
  EXPECT_THAT(page, HasSubstr("<td>rank 1 on h1 was killed</td>"));
  EXPECT_THAT(page, HasSubstr("<td>h&lt;1&gt;</td>"));
  EXPECT_THAT(page, HasSubstr("steps that a restart lost"));
}

TEST(ReportPage, OfSeveralRunsShowsWhatDiffers) {
  const RunFiles files;
  for (const char* name : {"a", "b", "c"}) files.WriteWholeRun(name);
  files.Write("b", "recipe.textproto",
              "name: \"b\" model { mlp { hidden: 8 } } train { steps: 40 global_batch: 16 seed: 4 }"
              " optimizer { sgd { momentum: 0.75 } learning_rate: 0.5 }");
  const std::string page = PageOf(files, {"a", "b", "c"});
  ExpectWhole(page);
  EXPECT_THAT(page, AllOf(HasSubstr("<th>train.seed</th>"), HasSubstr("<th>optimizer.sgd</th>"),
                          HasSubstr("<td title=\"momentum: 0.75\">momentum: 0.75</td>")));
  EXPECT_THAT(page, Not(HasSubstr("<th>optimizer.learning_rate</th>"))) << "all have the same";
  EXPECT_THAT(page, HasSubstr("<figcaption>Loss, validation</figcaption>"));
  EXPECT_THAT(page, HasSubstr("0.25 at 20"));
}

TEST(ReportPage, OfTwentyLongRunsIsSmall) {
  const RunFiles files;
  std::string rows;
  for (int step = 10; step <= 100000; step += 10) {
    const double loss = 2 + std::sin(step * 0.37) * std::exp(-step / 3e4);
    rows += "{\"step\":" + std::to_string(step) + ",\"epoch\":" + std::to_string(step / 2000.0) +
            ",\"loss\":" + std::to_string(loss) + ",\"accuracy\":" + std::to_string(loss / 4) +
            ",\"learning_rate\":0.1,\"samples_per_s\":" + std::to_string(900 + step % 170) + "}\n";
    if (step % 2000 == 0)
      rows += "{\"step\":" + std::to_string(step) + ",\"split\":\"test\",\"loss\":" + std::to_string(loss) + "}\n";
  }
  // Thumbnails as large as they get.
  records::SplitRecord split{.split = "test", .step = 40, .samples = 100, .worst_by = "loss"};
  for (uint64_t i = 0; i < 12; ++i)
    split.worst.push_back({.sample = i, .image = "/9j/" + std::string(6000, 'A'), .expected = "dog", .answer = "cat"});
  const std::string evaluation = records::FormatEvaluation({.time = 5, .splits = {split}});
  std::vector<std::string> names;
  for (int i = 0; i < 20; ++i) {
    names.push_back("run" + std::to_string(i));
    files.WriteWholeRun(names.back());
    files.Write(names.back(), "evaluation.json", evaluation);
    files.Write(names.back(), "metrics.jsonl", i < 2 ? rows : "");
    if (i >= 2)
      std::filesystem::copy_file(files / "run0/metrics.jsonl", files / (names.back() + "/metrics.jsonl"),
                                 std::filesystem::copy_options::overwrite_existing);
  }
  const std::string page = PageOf(files, names);
  EXPECT_LT(page.size(), 2000000u);
  EXPECT_GT(page.size(), 20u * 6 * 6000) << "the worst answers of each run are there";
}

TEST(ReportPage, AnyStateOfARunsFilesIsShown) {
  const RunFiles files;
  files.WriteWholeRun("whole");
  // One file after the other is missing, empty, torn or no text.
  for (const char* name : {"recipe.textproto", "attempts.jsonl", "supervisor.jsonl", "metrics.jsonl",
                           "metrics.discarded.jsonl", "verdict.json", "done.json"})
    for (const std::string damage : {"missing", "", "{\"step\":3,\"lo", "\xFF\xFE{}\n[1,2]\nnull\n{}\n"}) {
      SCOPED_TRACE(std::string(name) + ": " + damage);
      files.WriteWholeRun("run");
      if (damage == "missing")
        std::filesystem::remove(files / ("run/" + std::string(name)));
      else
        files.Write("run", name, damage);
      ExpectWhole(PageOf(files, {"run"}));
      ExpectWhole(PageOf(files, {"run", "whole"}));
    }
}

TEST(ReportPage, NotesSayWhatIsLeftOut) {
  const RunFiles files;
  files.WriteWholeRun("run");
  files.Write("run", "recipe.textproto", "model { nothing {} }");
  files.Write("run", "metrics.jsonl", "junk\n{\"step\":10,\"loss\":1}\n{\"step\":20,\"loss\":null}\n");
  files.Write("run", "evaluation.json", "{");
  const std::string page = PageOf(files, {"run"});
  EXPECT_THAT(page, HasSubstr("1 line of metrics.jsonl could not be read and is left out."));
  EXPECT_THAT(page, HasSubstr("not finite (NaN or infinite) in 1 row, first at step 20."));
  EXPECT_THAT(page, HasSubstr("recipe.textproto can&#39;t be read by this version"));
  EXPECT_THAT(page, HasSubstr("evaluation.json can&#39;t be read."));
}

TEST(ReportPage, ARunOfOneStepAndOneThatWaitsHavePages) {
  const RunFiles files;
  files.Write("one", "recipe.textproto", "train { steps: 1 }");
  files.Write("one", "metrics.jsonl", "{\"step\":1,\"loss\":1.5,\"time\":7}\n");
  files.Write("waits", "job.sbatch", "#!/bin/bash\n");
  ExpectWhole(PageOf(files, {"one"}));
  EXPECT_THAT(PageOf(files, {"waits"}), HasSubstr("nothing has begun"));
  ExpectWhole(PageOf(files, {"one", "waits"}));
}

TEST(ReportPage, ShowsEvaluationsWhereTheyAre) {
  const RunFiles files;
  files.WriteWholeRun("run");
  records::SplitRecord split{.split = "test", .step = 40, .samples = 3, .classes = {"cat", "<dog>"}};
  const std::vector<float> probabilities = {0.75F, 0.25F, 0.5F, 0.5F, 0.25F, 0.75F};
  split.classification = metrics::MeasureClassification(probabilities, std::vector<int32_t>{0, 1, 1}, 2);
  split.worst.push_back({.sample = 1, .text = "a <b>", .image = "iVBORw0KGgo=", .expected = "<dog>", .answer = "cat"});
  files.Write("run", "evaluation.json", records::FormatEvaluation({.time = 5, .splits = {split}}));
  const std::string page = PageOf(files, {"run"});
  ExpectWhole(page);
  EXPECT_THAT(page, HasSubstr("Answers: test split"));
  // Both cats are on the diagonal's side; of the dogs one half is right.
  EXPECT_THAT(page, HasSubstr("<td class=\"r10\">1</td><td class=\"\"></td>"));
  EXPECT_THAT(page, HasSubstr("<td class=\"w5\">1</td><td class=\"r5\">1</td>"));
  EXPECT_THAT(page, HasSubstr("src=\"data:image/png;base64,iVBORw0KGgo=\""));
  EXPECT_THAT(page, HasSubstr("&lt;dog&gt;"));
}

TEST(ReportPage, SaysWhatTheWorstAnswersAreTheWorstBy) {
  const RunFiles files;
  files.WriteWholeRun("run");
  records::SplitRecord pictures{.split = "test", .step = 40, .samples = 3, .worst_by = "loss"};
  pictures.worst.push_back({.sample = 7, .image = "/9j/4AAQ", .expected = "dog", .answer = "cat", .loss = 2.5});
  records::SplitRecord texts{.split = "validation", .step = 40, .samples = 3, .worst_by = "chrf"};
  texts.worst.push_back({.name = "a.de:3", .text = "Ja", .expected = "Yes", .answer = "No", .score = 12.5});
  files.Write("run", "evaluation.json", records::FormatEvaluation({.time = 5, .splits = {pictures, texts}}));
  const std::string page = PageOf(files, {"run"});
  ExpectWhole(page);
  EXPECT_THAT(page, HasSubstr("the true class the lowest probability"));
  EXPECT_THAT(page, HasSubstr("src=\"data:image/jpeg;base64,/9j/4AAQ\""));
  EXPECT_THAT(page, HasSubstr("sample 7, from 0"));
  EXPECT_THAT(page, HasSubstr("the lowest chrF first"));
  EXPECT_THAT(page, HasSubstr("source </span>Ja"));
  EXPECT_THAT(page, HasSubstr("chrF </span>12.5"));
}

TEST(ReportPage, RunsOfOneNameAreToldApartByTheirFolders) {
  const RunFiles files;
  files.WriteWholeRun("same");
  files.WriteWholeRun("other");
  files.Write("other", "recipe.textproto", "name: \"same\" train { steps: 40 }");
  EXPECT_THAT(PageOf(files, {"same", "other"}), AllOf(HasSubstr(">same</td>"), HasSubstr(">other</td>")));
}

TEST(ReadRun, OfNoRunIsRefused) {
  const RunFiles files;
  files.Write("x", "a.txt", "");
  EXPECT_THROW(ReadRun(files / "x", kNow), Error);
  EXPECT_THROW(ReadRun(files / "missing", kNow), Error);
}

TEST(TimeUse, IsWhatTheFilesTell) {
  const RunFiles files;
  files.WriteWholeRun("run");
  std::vector<std::string> said;
  for (const TimePart& part : TimeUse(ReadRun(files / "run", kNow)))
    said.push_back(fmt::format("{}{} {}", part.within ? "  " : "", part.name, part.seconds));
  EXPECT_THAT(said, testing::ElementsAre("starting, up to the first logged step 50", "training and evaluating 42",
                                         "  of this evaluating 4", "  of this waiting for checkpoints 2",
                                         "steps that a restart lost and that were done again 19",
                                         "between the last row of a start and the next start 10"));
}

TEST(TimeUse, RowsSayHowLongEvaluationsAndWaitsForSamplesTook) {
  const RunFiles files;
  files.Write("run", "attempts.jsonl", "{\"attempt\":1,\"from_step\":0,\"ranks\":1,\"time\":1000}\n");
  std::string rows;
  for (int step = 1; step <= 3; ++step) {
    const std::string place =
        fmt::format("{{\"attempt\":1,\"loss\":1,\"step\":{},\"time\":{},", 10 * step, 1000 + 10 * step);
    rows += place + "\"data_seconds\":1.5}\n";
    // Evaluations of steps that were not logged, of two splits.
    for (const char* split : {"validation", "test"})
      rows += fmt::format("{{\"attempt\":1,\"loss\":1,\"step\":{},\"time\":{},", 10 * step + 3, 1005 + 10 * step) +
              fmt::format("\"split\":\"{}\",\"evaluation_seconds\":0.25}}\n", split);
  }
  files.Write("run", "metrics.jsonl", rows);
  std::vector<std::string> said;
  for (const TimePart& part : TimeUse(ReadRun(files / "run", kNow)))
    said.push_back(fmt::format("{}{} {}", part.within ? "  " : "", part.name, part.seconds));
  EXPECT_THAT(said, testing::ElementsAre("starting, up to the first logged step 10", "training and evaluating 25",
                                         "  of this evaluating 1.5", "  of this waiting for samples 4.5"));
}

}  // namespace
}  // namespace lockstep::launch
