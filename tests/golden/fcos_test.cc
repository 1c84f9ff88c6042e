// FCOS against torchvision's own: the boxes that it finds with the same weights in the same pictures, and what it
// trains towards. fcos_model.py wrote what torchvision computed.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <memory>
#include <string>
#include <vector>

#include "base/files/file.h"
#include "base/memory.h"
#include "data/boxes/fcos_targets.h"
#include "tests/trainer/models/model_world.h"
#include "trainer/checkpoint/safetensors.h"
#include "trainer/infer/find_fcos_boxes.h"
#include "trainer/infer/inference_program.h"
#include "trainer/kernels/onednn/onednn_backend.h"

namespace lockstep {
namespace {

constexpr int64_t kHeight = 32, kWidth = 128, kPictures = 2;
constexpr int kClasses = 3;

class Fcos : public ::testing::Test {
 protected:
  std::vector<float> Read(const std::string& name) const {
    const auto* entry = file_.Find(name);
    CHECK(entry != nullptr, "the golden file lacks {}", name);
    std::vector<float> data(static_cast<size_t>(entry->shape.size()));
    file_.Read(*entry, data);
    return data;
  }

  std::vector<data::PlacedBox> Boxes(const std::string& step, size_t picture) const {
    const std::vector<float> all = Read(step + ".boxes");
    const size_t of_picture = all.size() / kPictures;
    std::vector<data::PlacedBox> boxes;
    for (size_t i = picture * of_picture; i < (picture + 1) * of_picture; i += 5)
      boxes.push_back({all[i], all[i + 1], all[i + 2], all[i + 3], static_cast<int32_t>(all[i + 4])});
    return boxes;
  }

  const std::array<data::FcosMap, 5> maps_ = data::FcosMapsOf(kHeight, kWidth);
  const size_t cells_ = static_cast<size_t>(data::CellsOf(maps_));
  const checkpoint::SafetensorsFile file_{FileSystem::Real(), LOCKSTEP_GOLDEN_FOLDER "/fcos.safetensors"};
};

TEST_F(Fcos, FindsTorchvisionsBoxes) {
  const graph::Model model =
      models::Build(models::Parse("detector { fcos { groups: 4 } neck: 8 head: 2"
                                  "           backbone { resnet { depth: 50 widths: [2, 2, 3, 4] stem_width: 4 } } }"),
                    models::Boxes(kHeight, kWidth, kClasses), graph::Mode::kInfer, kPictures, 0);
  const std::shared_ptr<engine::Backend> backend = MakeOneDnnBackend({});
  const engine::ParameterLayout layout(model.graph);
  Buffer weights(static_cast<size_t>(layout.elements()) * sizeof(float));
  for (const engine::ArenaEntry& entry : layout.entries())
    std::ranges::copy(Read("before." + entry.name), weights.As<float>().begin() + entry.offset);
  infer::InferenceProgram program(model.graph, {layout, *backend, weights.As<float>().data()});
  std::ranges::copy(Read("step1.input"), program.Input<float>("image").begin());
  program.Run();
  const auto of_picture = [&](const std::string& output, size_t picture, size_t values) {
    return program.Output<float>(output).subspan(picture * cells_ * values, cells_ * values);
  };
  for (size_t picture = 0; picture < kPictures; ++picture) {
    SCOPED_TRACE(picture);
    const std::vector<infer::FoundBox> found =
        infer::FindFcosBoxes({of_picture("class_logits", picture, kClasses), of_picture("side_values", picture, 4),
                              of_picture("centerness_logits", picture, 1), maps_, kClasses},
                             {0, 0, kWidth, kHeight});
    const std::string name = fmt::format("found{}.", picture);
    const std::vector<float> boxes = Read(name + "boxes"), scores = Read(name + "scores"),
                             labels = Read(name + "labels");
    ASSERT_EQ(found.size(), scores.size());
    for (size_t i = 0; i < found.size(); ++i) {
      EXPECT_NEAR(found[i].score, scores[i], 1e-4) << i;
      EXPECT_EQ(static_cast<float>(found[i].category), labels[i]) << i;
      const double edges[4] = {found[i].left, found[i].top, found[i].right, found[i].bottom};
      for (size_t k = 0; k < 4; ++k) EXPECT_NEAR(edges[k], boxes[4 * i + k], 1e-4) << i;
    }
  }
}

TEST_F(Fcos, IsTrainedTowardsTorchvisionsTargets) {
  for (const std::string step : {"step1", "step2", "step3"}) {
    const std::vector<float> category = Read(step + ".category"), sides = Read(step + ".sides"),
                             centerness = Read(step + ".centerness"), inside = Read(step + ".inside");
    ASSERT_EQ(inside.size(), cells_ * kPictures);
    EXPECT_GT(std::count(inside.begin(), inside.end(), 1.0f), 4);
    for (size_t picture = 0; picture < kPictures; ++picture) {
      std::vector<int32_t> our_category(cells_);
      std::vector<float> our_sides(cells_ * 4), our_centerness(cells_), our_inside(cells_);
      const std::vector<data::PlacedBox> boxes = Boxes(step, picture);
      data::FillFcosTargets(boxes, maps_,
                            {our_category.data(), our_sides.data(), our_centerness.data(), our_inside.data()});
      uint64_t count = 0;
      for (size_t i = 0; i < cells_; ++i) {
        const size_t theirs = picture * cells_ + i;
        ASSERT_EQ(our_inside[i], inside[theirs]) << step << " cell " << i;
        EXPECT_EQ(static_cast<float>(our_category[i]), category[theirs]);
        EXPECT_NEAR(our_centerness[i], centerness[theirs], 1e-6);
        for (size_t k = 0; k < 4; ++k) EXPECT_NEAR(our_sides[4 * i + k], sides[4 * theirs + k], 1e-5);
        count += our_inside[i] == 1 ? 1 : 0;
      }
      EXPECT_EQ(data::CountFcosTargets(boxes, maps_), (data::LossCounts{count, count, count, 0}));
    }
  }
}

TEST(FcosMaps, StandNearerThanTheirSizeWhereTheInputIsNoMultiple) {
  const auto maps = data::FcosMapsOf(96, 160);
  EXPECT_EQ(data::CellsOf(maps), 12 * 20 + 6 * 10 + 3 * 5 + 2 * 3 + 1 * 2);
  EXPECT_EQ(maps[3].down, 48);
  EXPECT_EQ(maps[3].across, 53);
  EXPECT_EQ(maps[4].size, 128);
  EXPECT_EQ(maps[4].down, 96);
  EXPECT_EQ(maps[4].across, 80);
}

}  // namespace
}  // namespace lockstep
