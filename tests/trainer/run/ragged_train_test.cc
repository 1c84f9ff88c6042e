// The whole trainer on sentences of many lengths, with threads as ranks: batches of tokens whose lanes differ in size,
// and may be empty, give the same bits on any number of ranks, translations and their scores included.
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/log.h"
#include "base/philox.h"
#include "data/batches/make_batches.h"
#include "data/open/make_transform.h"
#include "data/open/open_dataset.h"
#include "data/text/open_tokenizer.h"
#include "data/text/sentences/parallel_text.h"
#include "data/transform.h"
#include "tests/trainer/run/train_world.h"
#include "trainer/evaluate/scorer.h"
#include "trainer/kernels/onednn/onednn_backend.h"
#include "trainer/models/models.h"
#include "trainer/step/compute.h"
#include "trainer/step/executor_pool.h"

namespace lockstep::run {
namespace {

constexpr int kLanes = 5;
constexpr uint64_t kSteps = 18;

/// `count` words of 1 to 24 letters, and the same backwards.
std::shared_ptr<const data::Dataset> Reversals(uint64_t count, uint64_t seed) {
  data::ParallelLines lines;
  for (uint64_t i = 0; i < count; ++i) {
    const RandomStream stream{seed, 0, 3, i};
    std::string word(1 + stream.Bits(0) % 24, 'a');
    for (uint32_t at = 0; at < word.size(); ++at) word[at] = static_cast<char>('a' + stream.Bits(at + 1) % 6);
    lines.source.push_back(word);
    lines.target.emplace_back(word.rbegin(), word.rend());
  }
  data::DataConfig config;
  config.mutable_tokenizer()->mutable_bytes();
  return data::MakeParallelText(lines, data::RequireSentenceVocabulary(data::OpenTokenizer(config)), data::Parallel());
}

/// What recipes of translation make of a job (launch/job/job_setup.cc).
void Translate(const std::string& model_text, Job& job) {
  job.config.train.set_global_batch(0);
  // Five of the longest words: lanes are empty where a step's words are fewer.
  job.config.train.set_batch_tokens(100);
  job.config.train.set_evaluation_block(8);
  job.model.task = metrics::Task::kTranslation;
  job.splits.train = Reversals(160, 1);
  job.splits.test = Reversals(20, 2);
  job.splits.transform = data::MakeTransform(job.splits.train->fields(), job.config.data, job.config.train.seed());
  job.splits.batches = data::MakeBatches(job.splits.train, job.splits.transform,
                                         {.seed = job.config.train.seed(), .lanes = kLanes, .batch_tokens = 100});
  models::ModelConfig model;
  CHECK(google::protobuf::TextFormat::ParseFromString(model_text, &model), "{}", model_text);
  const models::DataShape shape{.input = "source", .sample = {-1}, .classes = job.splits.train->classes()};
  job.model.build = [model, shape](graph::Mode mode, const data::BatchShape& batch) {
    return models::Build(model, shape, mode, batch.rows, batch.length);
  };
  evaluate::TranslationOptions options;
  options.model.build_step = [model, shape](const graph::StepShape& step) {
    return models::BuildStep(model, shape, step);
  };
  options.model.build_encoding = [model, shape](int64_t rows, int64_t places) {
    return models::BuildEncoding(model, shape, rows, places);
  };
  options.backend = MakeOneDnnBackend({});
  options.beam = 2;
  job.make_scorer = [options](std::shared_ptr<const data::Dataset> split, step::ForwardCompute& compute) mutable {
    options.dataset = std::move(split);
    options.executors = compute.executors().size();
    options.layout = &compute.plans().layout;
    options.compute = &compute;
    return evaluate::MakeTranslationScorer(options);
  };
}

TrainSetup SetupOf(const char* model, uint64_t steps = kSteps) {
  return {.train = fmt::format("steps: {} global_batch: 25 lanes: {} seed: 4 evaluate_every_steps: 6", steps, kLanes),
          .optimizer = "adamw {} learning_rate: 0.02 clip_norm: 1",
          .model = "mlp { hidden: 3 }",
          .checkpoint = "every_steps: 5",
          .change = [model](Job& job) { Translate(model, job); }};
}

class RaggedTrainTest : public testing::TestWithParam<const char*> {
 protected:
  ~RaggedTrainTest() override { StartLog("", true, 0); }
  TemporaryFolder temporary_;
};
INSTANTIATE_TEST_SUITE_P(Models, RaggedTrainTest,
                         testing::Values("seq2seq { layers: 1 heads: 2 width: 8 inner: 12 dropout: 0.1 }",
                                         "seq2seq { kind: LSTM layers: 2 width: 8 dropout: 0.1 }"),
                         [](const auto& info) { return info.index == 0 ? "Transformer" : "Lstm"; });

TEST_P(RaggedTrainTest, AnyNumberOfRanksGivesTheSameBits) {
  const TrainSetup setup = SetupOf(GetParam());
  const TrainOutcome one = TrainOnThreads(setup, 1, temporary_ / "1");
  EXPECT_NE(one.line.find(" bleu="), std::string::npos) << one.line;
  EXPECT_EQ(one.metrics.size(), kSteps + 3) << "rows of steps and evaluations";
  for (const int ranks : {2, 3, 5}) {
    SCOPED_TRACE(testing::Message() << ranks << " ranks");
    ExpectEqual(TrainOnThreads(setup, ranks, temporary_ / std::to_string(ranks)), one);
  }
  SCOPED_TRACE("two nodes, two executors a rank");
  ExpectEqual(TrainOnThreads(setup, 3, temporary_ / "nodes", {2, 1}, 2), one);
}

TEST_P(RaggedTrainTest, ARunGoesOnOnAnotherNumberOfRanks) {
  const TrainOutcome whole = TrainOnThreads(SetupOf(GetParam()), 1, temporary_ / "whole");
  TrainOnThreads(SetupOf(GetParam(), 7), 3, temporary_ / "parts");
  const TrainOutcome last = TrainOnThreads(SetupOf(GetParam()), 2, temporary_ / "parts");
  EXPECT_EQ(last.weights, whole.weights);
  EXPECT_EQ(last.arrays, whole.arrays);
}

TEST_P(RaggedTrainTest, ActivationsComputedAgainGiveTheSameBits) {
  TrainSetup setup = SetupOf(GetParam());
  const TrainOutcome kept = TrainOnThreads(setup, 2, temporary_ / "kept");
  setup.train += " recompute_activations: true";
  ExpectEqual(TrainOnThreads(setup, 2, temporary_ / "again"), kept);
}

TEST(RaggedBatches, OfThisTestHaveEmptyLanesAndUnequalOnes) {
  Job job;
  Translate("seq2seq { layers: 1 heads: 2 width: 8 }", job);
  int empty = 0, unequal = 0;
  data::LaneSamples samples;
  for (uint64_t step = 0; step < kSteps; ++step) {
    size_t first = 0;
    for (int lane = 0; lane < kLanes; ++lane) {
      job.splits.batches->Lane(step, lane, samples);
      if (lane == 0) first = samples.picks.size();
      empty += samples.picks.empty();
      unequal += !samples.picks.empty() && samples.picks.size() != first;
    }
  }
  EXPECT_GT(empty, 2);
  EXPECT_GT(unequal, 2);
}

}  // namespace
}  // namespace lockstep::run
