#include "trainer/records/certificate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "base/files/fault_file_system.h"
#include "base/hash.h"
#include "base/log.h"
#include "tests/base/error_of.h"
#include "tests/base/temporary_folder.h"
#include "trainer/graph/builder.h"

namespace lockstep::records {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

CertificateAttempt Attempt(uint32_t number, int ranks, uint64_t from) {
  return {number, ranks, from, "b0", {{"cpu", "X"}, {"isa", "AVX2"}}};
}

Certificate Head(uint32_t attempt = 1, int ranks = 2, uint64_t from = 0) {
  Certificate certificate;
  certificate.recipe = HashText(1);
  certificate.data = {{"train", HashText(2)}, {"test", HashText(3)}};
  certificate.attempts = {Attempt(attempt, ranks, from)};
  certificate.every = 100;
  certificate.tensors = {"conv1.weight", "fc.bias", "fc.weight"};
  return certificate;
}

CertificateRow Row(uint64_t step) { return {step, step * 7, step * 11, {step, step + 1, ~step}}; }

Certificate WithRows(std::initializer_list<uint64_t> steps) {
  Certificate certificate = Head();
  for (uint64_t step : steps) certificate.rows.push_back(Row(step));
  return certificate;
}

TEST(CertificateFormat, IsReadBackAsWritten) {
  Certificate certificate = WithRows({100, 200});
  certificate.rows[1].tensors.clear();
  certificate.final = CertificateRow{250, 5, 6, {}};
  const std::string text = FormatCertificate(certificate);
  EXPECT_EQ(ParseCertificate(text, ""), certificate);
  EXPECT_THAT(text, HasSubstr(HashText(100) + HashText(101) + HashText(~uint64_t{100})));
  EXPECT_EQ(ParseCertificate(FormatCertificate(Head()), ""), Head());
}

TEST(CertificateFormat, ANewerVersionIsRefusedWithWords) {
  const Error error = ErrorOf([] { ParseCertificate("{\"version\": 2}", "certificate.json"); });
  EXPECT_EQ(error.kind(), ErrorKind::kUsage);
  EXPECT_THAT(error.what(), HasSubstr("certificate.json: certificate format 2 is newer"));
}

TEST(CertificateFormat, DamageIsNamed) {
  const std::string good = FormatCertificate(WithRows({100, 200}));
  const auto with = [&](const std::string& from, const std::string& to) {
    std::string text = good;
    EXPECT_NE(text.find(from), std::string::npos) << from;
    return text.replace(text.find(from), from.size(), to);
  };
  const std::vector<std::pair<std::string, std::string>> cases = {
      {good.substr(0, good.size() / 2), "JSON"},
      {with("\"step\":200", "\"step\":100"), "rows"},
      {with("\"step\":200", "\"step\":-1"), "step"},
      {with(HashText(1400), HashText(1400).substr(1)), "hash"},
      {with(HashText(1400), "00000000000000XY"), "hash"},
      {with(HashText(101), ""), "tensors"},
      {with("\"every\": 100", "\"every\": 0"), "every"},
      {with("fc.bias", "zz"), "tensors"},
      {with("\"recipe\"", "\"other\""), "recipe"},
      {with("\"ranks\":2", "\"ranks\":\"2\""), "ranks"},
      {with("\"version\": 1", "\"version\": 0"), "version"}};
  for (const auto& [text, word] : cases) {
    const Error error = ErrorOf([&text = text] { ParseCertificate(text, "c.json"); });
    EXPECT_EQ(error.kind(), ErrorKind::kUsage);
    EXPECT_EQ(error.where(), "c.json");
    EXPECT_THAT(error.message(), HasSubstr(word));
  }
}

TEST(CertificateHashes, AreOfTheTensorsBytesInOrderOfNames) {
  graph::Builder builder(graph::Mode::kTrain, 1);
  builder.Parameter("b", Shape{3}, {}, true);
  builder.Statistic("c", Shape{1}, 0);
  builder.Parameter("a", Shape{2, 2}, {}, true);
  const engine::ParameterLayout layout(builder.Finish());
  EXPECT_THAT(TensorNames(layout), ElementsAre("a", "b", "c"));
  std::vector<float> arena(static_cast<size_t>(layout.elements()));
  const float a[] = {1, 2, 3, 4}, b[] = {5, 6, 7}, c[] = {8};
  std::copy(std::begin(a), std::end(a), arena.begin() + layout.Find("a")->offset);
  std::copy(std::begin(b), std::end(b), arena.begin() + layout.Find("b")->offset);
  arena[static_cast<size_t>(layout.Find("c")->offset)] = c[0];
  EXPECT_THAT(HashTensors(layout, arena.data()),
              ElementsAre(Hash64(std::as_bytes(std::span(a))), Hash64(std::as_bytes(std::span(b))),
                          Hash64(std::as_bytes(std::span(c)))));
}

class CertificateWriterTest : public ::testing::Test {
 protected:
  ~CertificateWriterTest() override { StartLog("", true, 0); }
  Certificate Read() { return ReadCertificate(files_, path_); }
  /// A run of one attempt that has written rows up to `last`.
  void Written(uint64_t last) {
    CertificateWriter writer(files_, path_, Head());
    writer.ResumeAt(0);
    for (uint64_t step = 100; step <= last; step += 100) writer.Add(Row(step));
    writer.Write();
  }

  FileSystem& files_ = FileSystem::Real();
  TemporaryFolder folder_;
  const std::string path_ = folder_ / kCertificateName;
};

TEST_F(CertificateWriterTest, RowsPastTheCheckpointAreMadeAgain) {
  Written(400);
  CertificateWriter writer(files_, path_, Head(2, 3, 250));
  writer.ResumeAt(250);
  EXPECT_TRUE(writer.Due(300));
  EXPECT_FALSE(writer.Due(301));
  for (uint64_t step : {300, 400}) writer.Add(Row(step));
  writer.SetFinal(450, 1, 2);
  writer.Write();
  Certificate expected = WithRows({100, 200, 300, 400});
  expected.attempts.push_back(Attempt(2, 3, 250));
  expected.final = CertificateRow{450, 1, 2, {}};
  EXPECT_EQ(Read(), expected);
}

TEST_F(CertificateWriterTest, AResumedRunIsNotFinal) {
  {
    CertificateWriter writer(files_, path_, Head());
    writer.SetFinal(450, 1, 2);
    writer.Write();
  }
  CertificateWriter writer(files_, path_, Head(2));
  writer.ResumeAt(450);
  EXPECT_FALSE(writer.certificate().final);
}

TEST_F(CertificateWriterTest, ARunFromTheBeginningKeepsOnlyItsAttempts) {
  Written(400);
  CertificateWriter writer(files_, path_, Head(2));
  writer.ResumeAt(0);
  EXPECT_THAT(writer.certificate().rows, IsEmpty());
  EXPECT_EQ(writer.certificate().attempts.size(), 2u);
}

TEST_F(CertificateWriterTest, ALongerRunKeepsItsRows) {
  Written(200);
  Certificate longer = Head(2, 2, 200);
  longer.recipe = HashText(99);
  CertificateWriter writer(files_, path_, longer);
  writer.ResumeAt(200);
  EXPECT_EQ(writer.certificate().rows, WithRows({100, 200}).rows);
  EXPECT_EQ(writer.certificate().recipe, HashText(99));
}

TEST_F(CertificateWriterTest, ADamagedOneIsBegunAnew) {
  std::ofstream(path_) << "{";
  CertificateWriter writer(files_, path_, Head(2, 2, 200));
  writer.ResumeAt(200);
  writer.Add(Row(300));
  writer.Write();
  EXPECT_EQ(Read().rows, WithRows({300}).rows);
}

TEST_F(CertificateWriterTest, AFailedWriteKeepsTheOldFileAndTheRows) {
  Written(100);
  FaultFileSystem full(files_, {.at = 1, .fault = Fault::kShorten, .error_number = ENOSPC});
  CertificateWriter writer(full, path_, Head(2, 2, 100));
  writer.ResumeAt(100);
  writer.Add(Row(200));
  EXPECT_THROW(writer.Write(), Error);
  EXPECT_EQ(Read(), WithRows({100}));
  writer.Add(Row(300));
  writer.Write();
  EXPECT_EQ(Read().rows, WithRows({100, 200, 300}).rows);
}

TEST(CertificateDifferences, AreNamedByWhatComesFirst) {
  const Certificate a = WithRows({100, 200, 300});
  EXPECT_EQ(FirstDifference(a, a).text, "");

  Certificate recipe = a;
  recipe.recipe = HashText(9);
  EXPECT_EQ(FirstDifference(a, recipe).text, "recipes differ");

  Certificate data = a;
  data.data["test"] = HashText(9);
  EXPECT_EQ(FirstDifference(a, data).text, "test data differ");
  data.data.erase("test");
  EXPECT_EQ(FirstDifference(a, data).text, "test data differ");

  Certificate order = a;
  order.rows[1].order = order.rows[2].order = order.rows[1].weights = 0;
  EXPECT_EQ(FirstDifference(a, order).text, "data order differs from step 200 on");

  Certificate weights = a;
  weights.rows[1].weights = weights.rows[1].tensors[1] = weights.rows[2].tensors[0] = 0;
  const CertificateDifference difference = FirstDifference(a, weights);
  EXPECT_EQ(difference.text, "weights differ first at step 200: tensor fc.bias");
  EXPECT_EQ(difference.step, 200u);
  EXPECT_EQ(difference.tensor, "fc.bias");
  weights.rows[1].tensors[2] = 0;
  EXPECT_EQ(FirstDifference(a, weights).text, "weights differ first at step 200: tensor fc.bias and 1 more");
  weights.rows[1].tensors.clear();
  EXPECT_EQ(FirstDifference(a, weights).text, "weights differ first at step 200");

  Certificate statistics = a;
  statistics.rows[2].tensors[0] = 0;
  EXPECT_EQ(FirstDifference(a, statistics).text, "running statistics differ first at step 300: tensor conv1.weight");
}

TEST(CertificateDifferences, OnlyCommonStepsCount) {
  const Certificate a = WithRows({100, 200, 300});
  Certificate b = WithRows({100, 150, 200, 400});
  EXPECT_THAT(CommonSteps(a, b), ElementsAre(100, 200));
  EXPECT_EQ(FirstDifference(a, b).text, "");
}

TEST(CertificateDifferences, FinalWeightsAreCompared) {
  Certificate a = WithRows({100});
  a.final = CertificateRow{150, 1, 2, {}};
  Certificate b = a;
  b.final->weights = 9;
  EXPECT_EQ(FirstDifference(a, b).text, "final weights differ, at step 150");
  b.final->step = 160;
  EXPECT_EQ(FirstDifference(a, b).text, "") << "of another step: one has run longer";
}

TEST(CertificateDifferences, OtherRanksAreNoneAndOtherHardwareIsACircumstance) {
  const Certificate a = WithRows({100});
  Certificate b = a;
  b.attempts[0].ranks = 64;
  EXPECT_THAT(DifferentCircumstances(a, b), IsEmpty());
  b.attempts[0].numerics["cpu"] = "Y";
  b.attempts.push_back(Attempt(2, 1, 100));
  EXPECT_EQ(FirstDifference(a, b).text, "");
  EXPECT_THAT(DifferentCircumstances(a, b), ElementsAre("cpu: X and X | Y"));
}

}  // namespace
}  // namespace lockstep::records
