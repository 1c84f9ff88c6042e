// Each sample's answer comes to rank 0 once, whichever rank gave it.
#include "trainer/evaluate/answer_keeper.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <map>

#include "comm/local/local_communicator.h"

namespace lockstep::evaluate {
namespace {

using testing::ElementsAre;
using testing::Pair;

data::LaneBatch Block(std::vector<uint64_t> samples, int64_t rows) {
  data::LaneBatch block;
  for (const uint64_t sample : samples) block.samples.picks.push_back({0, sample});
  block.fields = {data::Field{"features", DType::kF32, Shape{rows, 1}}};
  return block;
}

TEST(AnswerKeeper, KeepsOutputsOfAllRanksWithoutThoseOfPadding) {
  comm::RunLocalWorld({.world_size = 3}, [](comm::Communicator& comm) {
    AnswerKeeper keeper("logits", 2);
    const auto scorer = keeper.Keep(std::shared_ptr<Scorer>());
    const auto rank = static_cast<uint64_t>(comm.rank());
    // Rank 2 has no block.
    if (rank < 2) {
      const auto value = static_cast<float>(rank);
      const std::vector<float> logits = {value, 0.5f, value, 1.5f, -1, -1};
      Scores scores;
      scorer->Score(
          0, Block({rank + 2, rank}, 3),
          [&](const std::string& name) {
            EXPECT_EQ(name, "logits");
            return std::as_bytes(std::span(logits));
          },
          scores);
      EXPECT_TRUE(scorer->Result(scores).empty());
    }
    std::map<uint64_t, std::vector<float>> kept;
    const auto collect = [&] {
      kept.clear();
      keeper.Collect(comm, [&](uint64_t sample, std::string_view answer) {
        std::vector<float>& values = kept[sample];
        EXPECT_TRUE(values.empty()) << "sample " << sample << " comes twice";
        values.resize(answer.size() / sizeof(float));
        std::memcpy(values.data(), answer.data(), answer.size());
      });
    };
    collect();
    if (rank == 0)
      EXPECT_THAT(kept, ElementsAre(Pair(0, ElementsAre(0, 1.5f)), Pair(1, ElementsAre(1, 1.5f)),
                                    Pair(2, ElementsAre(0, 0.5f)), Pair(3, ElementsAre(1, 0.5f))));
    else
      EXPECT_TRUE(kept.empty());
    collect();
    EXPECT_TRUE(kept.empty()) << "what was collected is kept no longer";
  });
}

class Writer final : public Scorer {
 public:
  void Score(int, const data::LaneBatch& block, const Output&, Scores& scores) override {
    for (const auto& pick : block.samples.picks) Tell(pick.id, std::string(pick.id, 'x'));
    scores.counts[0] += 1;
  }
  std::vector<metrics::Metric> Result(const Scores& scores) const override {
    return {{"blocks", static_cast<double>(scores.counts[0])}};
  }
};

TEST(AnswerKeeper, KeepsTextsAndWhatTheyAreWorth) {
  comm::RunLocalWorld({.world_size = 1}, [](comm::Communicator& comm) {
    AnswerKeeper keeper;
    const auto scorer = keeper.Keep(std::make_shared<Writer>());
    Scores scores;
    scorer->Score(0, Block({0, 3}, 2), nullptr, scores);
    scorer->Score(0, Block({1}, 2), nullptr, scores);
    EXPECT_THAT(scorer->Result(scores), ElementsAre(metrics::Metric{"blocks", 2}));
    std::map<uint64_t, std::string> kept;
    keeper.Collect(comm, [&](uint64_t sample, std::string_view text) { kept[sample] = text; });
    EXPECT_THAT(kept, ElementsAre(Pair(0, ""), Pair(1, "x"), Pair(3, "xxx")));
  });
}

}  // namespace
}  // namespace lockstep::evaluate
