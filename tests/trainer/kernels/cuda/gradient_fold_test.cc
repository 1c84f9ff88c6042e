// Folding lanes on an emulated device, against the host's fold: the same bits.
#include <tuple>

#include "base/arena.h"
#include "tests/trainer/kernels/cuda/gradient_kernels_world.h"
#include "trainer/step/lane_fold.h"

namespace lockstep::cuda {
namespace {

using optim::FoldStep;

struct Run {
  int lanes;
  LaneRange run;
};

class FoldTest : public GradientKernelsTest, public testing::WithParamInterface<std::tuple<Run, DType>> {
 protected:
  static constexpr int64_t kElements = 3 * kChunkElements;

  DType wire() const { return std::get<1>(GetParam()); }
  /// An arena of sums, all bits set: not-a-number in either type.
  std::byte* PutNothingOfSums() {
    return Put(std::vector<std::byte>(static_cast<size_t>(kElements * SizeOf(wire())), std::byte{0xFF}));
  }

  /// The steps of the fold over `nodes`, whose sums come to `pieces`.
  std::vector<FoldStep> PlanSteps(int lanes, const std::vector<LaneRange>& nodes,
                                  const std::vector<std::byte*>& pieces) {
    std::vector<std::byte*> stack;
    for (int i = plan::FoldStackEntries(lanes, nodes); i > 0; --i) stack.push_back(PutNothingOfSums());
    std::vector<FoldStep> steps;
    for (const plan::FoldLeaf& leaf : plan::FoldLeaves(lanes, nodes)) {
      const auto entry = [&](int depth) {
        return depth == 0 ? pieces[leaf.node] : stack.at(static_cast<size_t>(depth - 1));
      };
      FoldStep& step = steps.emplace_back();
      step.target = entry(leaf.target());
      step.additions = leaf.additions;
      for (int k = 0; k < leaf.additions; ++k) step.addends[k] = entry(leaf.depth - 1 - k);
    }
    return steps;
  }
};

TEST_P(FoldTest, HasTheBitsOfTheHostsFold) {
  const auto [lanes, run] = std::get<0>(GetParam());
  const std::vector<LaneRange> nodes = MaximalNodes(lanes, run);
  const auto bytes = static_cast<size_t>(kElements * SizeOf(wire()));
  std::vector<std::vector<std::byte>> expected(nodes.size(), std::vector<std::byte>(bytes, std::byte{0xFF}));
  std::vector<std::byte*> pieces, host_pieces;
  for (std::vector<std::byte>& arena : expected) {
    host_pieces.push_back(arena.data());
    pieces.push_back(PutNothingOfSums());
  }
  step::LaneFold fold(lanes, nodes, host_pieces, kElements, wire());
  const std::vector<FoldStep> steps = PlanSteps(lanes, nodes, pieces);
  FoldStep* const step = Put(std::vector<FoldStep>(1));
  float* const gradient = PutNothing(kElements);
  for (int lane = run.begin; lane < run.end; ++lane) {
    const std::vector<float> values = RandomValues(kElements, static_cast<uint32_t>(lane));
    std::copy(values.begin(), values.end(), gradient);
    *step = steps[static_cast<size_t>(lane - run.begin)];
    // Two buckets, the later first.
    kernels_->Fold(*stream_, step, wire(), gradient, {kChunkElements, kElements});
    kernels_->Fold(*stream_, step, wire(), gradient, {0, kChunkElements});
    stream_->Synchronize();
    fold.Add(lane, 0, kElements, values.data());
  }
  for (size_t n = 0; n < nodes.size(); ++n)
    EXPECT_EQ(std::memcmp(pieces[n], expected[n].data(), bytes), 0) << "the sum from lane " << nodes[n].begin << " on";
}

TEST_P(FoldTest, HasTheSameBitsWhereTheSecondLaneOfAPairWasAddedAlready) {
  if (wire() != DType::kF32) GTEST_SKIP() << "sums are rounded";
  const auto [lanes, run] = std::get<0>(GetParam());
  const std::vector<LaneRange> nodes = MaximalNodes(lanes, run);
  const std::vector<plan::FoldLeaf> leaves = plan::FoldLeaves(lanes, nodes);
  // One that ends within a pack, and one over the border of two blocks.
  const std::vector<ElementRange> added = {{16, 29}, {992, 1040}, {kChunkElements + 64, 2 * kChunkElements}};
  const auto is_added = [&](int64_t at) {
    return std::ranges::any_of(added, [&](ElementRange range) { return range.begin <= at && at < range.end; });
  };
  std::vector<std::byte*> pieces[2];
  for (auto& list : pieces)
    for (size_t n = 0; n < nodes.size(); ++n) list.push_back(PutNothingOfSums());
  std::vector<FoldStep> steps[2] = {PlanSteps(lanes, nodes, pieces[0]), PlanSteps(lanes, nodes, pieces[1])};
  for (size_t i = 1; i < leaves.size(); ++i) {
    if (!plan::AddsLaneBefore(leaves, i)) continue;
    steps[1][i - 1].added = FoldStep::Added::kFirst;
    steps[1][i].added = FoldStep::Added::kSecond;
  }
  const ElementRange* const ranges = Put(added);
  float* const gradients[2] = {Put(std::vector<float>(kElements)), Put(std::vector<float>(kElements))};
  for (size_t i = 0; i < leaves.size(); ++i) {
    const std::vector<float> values = RandomValues(kElements, static_cast<uint32_t>(i));
    std::copy(values.begin(), values.end(), gradients[0]);
    const bool adds = steps[1][i].added == FoldStep::Added::kSecond;
    for (int64_t at = 0; at < kElements; ++at)
      gradients[1][at] = (adds && is_added(at) ? gradients[1][at] : 0) + values[static_cast<size_t>(at)];
    steps[1][i].ranges = static_cast<int32_t>(added.size());
    steps[1][i].added_ranges = ranges;
    for (int side : {0, 1})
      kernels_->Fold(*stream_, Put(std::vector<FoldStep>{steps[side][i]}), wire(), gradients[side], {0, kElements});
    stream_->Synchronize();
  }
  // Behind a range, up to the next pack, nothing lies: a pack is of a parameter or not.
  for (size_t n = 0; n < nodes.size(); ++n)
    for (int64_t at = 0; at < kElements; ++at) {
      if (at == 29 || at == 30 || at == 31) continue;
      ASSERT_EQ(reinterpret_cast<const float*>(pieces[1][n])[at], reinterpret_cast<const float*>(pieces[0][n])[at])
          << "element " << at << " from lane " << nodes[n].begin << " on";
    }
}

std::string NameOf(const testing::TestParamInfo<std::tuple<Run, DType>>& info) {
  const auto [lanes, run] = std::get<0>(info.param);
  return "Lanes" + std::to_string(run.begin) + "To" + std::to_string(run.end) + "Of" + std::to_string(lanes) +
         Name(std::get<1>(info.param));
}
INSTANTIATE_TEST_SUITE_P(Runs, FoldTest,
                         testing::Combine(testing::Values(Run{1, {0, 1}}, Run{2, {0, 2}}, Run{8, {0, 8}},
                                                          Run{8, {0, 5}}, Run{8, {3, 8}}, Run{7, {0, 7}},
                                                          Run{7, {2, 6}}, Run{64, {0, 64}}, Run{64, {1, 64}}),
                                          testing::Values(DType::kF32, DType::kBF16)),
                         NameOf);

TEST_F(GradientKernelsTest, FoldTouchesItsRangeAlone) {
  const int64_t elements = 3 * kChunkElements;
  float* const target = Put(std::vector<float>(static_cast<size_t>(elements), 1.0f));
  float* const gradient = Put(std::vector<float>(static_cast<size_t>(elements), 2.0f));
  FoldStep step;
  step.target = reinterpret_cast<std::byte*>(target);
  step.additions = 1;
  step.addends[0] = step.target;
  kernels_->Fold(*stream_, Put(std::vector<FoldStep>{step}), DType::kF32, gradient,
                 {kChunkElements, 2 * kChunkElements});
  stream_->Synchronize();
  for (int64_t i = 0; i < elements; ++i) ASSERT_EQ(target[i], i / kChunkElements == 1 ? 3.0f : 1.0f) << i;
}

TEST_F(GradientKernelsTest, FoldLeavesALaneThatIsItsOwnPieceWhereItLies) {
  const std::vector<float> values = RandomValues(kChunkElements, 1);
  float* const piece = Put(values);
  FoldStep step;
  step.target = reinterpret_cast<std::byte*>(piece);
  kernels_->Fold(*stream_, Put(std::vector<FoldStep>{step}), DType::kF32, piece, {0, kChunkElements});
  stream_->Synchronize();
  ExpectSameBits(piece, values.data(), kChunkElements, "the piece");
}

}  // namespace
}  // namespace lockstep::cuda
