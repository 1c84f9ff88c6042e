#include "data/boxes/boxed_transform.h"

#include <algorithm>
#include <array>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "data/boxes/box_placement.h"
#include "data/boxes/boxed_pictures.h"
#include "data/boxes/center_targets.h"
#include "data/boxes/draw_picture.h"
#include "data/boxes/fcos_targets.h"
#include "data/image/augment.h"
#include "data/image/color.h"
#include "data/image/decode_image.h"
#include "data/image/image_transform.h"
#include "data/random_keys.h"

namespace lockstep::data {
namespace {

/// What a thread uses again for each of its samples.
struct Scratch {
  FitScratch fit;
  DrawScratch draw;
  Image colored;
};

void RequireCells(const Cells& cells) {
  if (cells.stride() > 0) return;
  throw Error(ErrorKind::kUsage, "the samples are pictures with boxes, which only a detector is trained on", "model",
              "use model { detector { ... } }");
}

/// What a model is trained towards, as fields behind the image.
class Targets {
 public:
  virtual ~Targets() = default;
  virtual std::vector<Field> fields() const = 0;
  virtual LossCounts Count(std::span<const PlacedBox> boxes) const = 0;
  /// `rows`: one of each field.
  virtual void Fill(std::span<const PlacedBox> boxes, std::span<std::byte* const> rows) const = 0;
};

float* Floats(std::byte* row) { return reinterpret_cast<float*>(row); }

class CenterTargets final : public Targets {
 public:
  explicit CenterTargets(const CellGrid& grid) : grid_(grid) {}

  std::vector<Field> fields() const override {
    return {{"heat", DType::kF32, Shape{grid_.height, grid_.width, grid_.categories}},
            {"sides", DType::kF32, Shape{grid_.height, grid_.width, 4}},
            {"inside", DType::kF32, Shape{grid_.height, grid_.width}}};
  }
  LossCounts Count(std::span<const PlacedBox> boxes) const override { return CountCenterTargets(boxes, grid_); }
  void Fill(std::span<const PlacedBox> boxes, std::span<std::byte* const> rows) const override {
    FillCenterTargets(boxes, grid_, {Floats(rows[0]), Floats(rows[1]), Floats(rows[2])});
  }

 private:
  const CellGrid grid_;
};

class FcosTargets final : public Targets {
 public:
  FcosTargets(int64_t height, int64_t width) : maps_(FcosMapsOf(height, width)) {}

  std::vector<Field> fields() const override {
    const int64_t cells = CellsOf(maps_);
    return {{"category", DType::kI32, Shape{cells}},
            {"sides", DType::kF32, Shape{cells, 4}},
            {"centerness", DType::kF32, Shape{cells}},
            {"inside", DType::kF32, Shape{cells}}};
  }
  LossCounts Count(std::span<const PlacedBox> boxes) const override { return CountFcosTargets(boxes, maps_); }
  void Fill(std::span<const PlacedBox> boxes, std::span<std::byte* const> rows) const override {
    FillFcosTargets(boxes, maps_,
                    {reinterpret_cast<int32_t*>(rows[0]), Floats(rows[1]), Floats(rows[2]), Floats(rows[3])});
  }

 private:
  const std::array<FcosMap, 5> maps_;
};

std::unique_ptr<Targets> MakeTargets(const Cells& cells, const PictureFit& fit, int64_t categories) {
  if (cells.kind() == Cells::Kind::FCOS) return std::make_unique<FcosTargets>(fit.height(), fit.width());
  return std::make_unique<CenterTargets>(CellGrid::Of(fit.height(), fit.width(), cells.stride(), categories));
}

class BoxedTransform final : public Transform {
 public:
  BoxedTransform(const DataConfig& config, uint64_t seed)
      : placement_(config.pictures(), config.augment(), seed),
        color_(config.augment().color_jitter()),
        colored_(config.augment().has_color_jitter()),
        normalizer_(MakeNormalizer(config.normalize(), DType::kU8, static_cast<size_t>(placement_.fit().channels()))),
        seed_(seed) {
    RequireCells(config.cells());
    CheckColorJitter(color_);
    const PictureFit& fit = placement_.fit();
    targets_ = MakeTargets(config.cells(), fit, config.class_names_size());
    fields_ = {{"image", DType::kF32, Shape{fit.height(), fit.width(), fit.channels()}}};
    for (Field& field : targets_->fields()) fields_.push_back(std::move(field));
  }

  std::span<const Field> fields() const override { return fields_; }

  LossCounts Count(const SampleSize& size, uint64_t epoch, uint64_t id, bool augment) const override {
    const std::vector<Tile> tiles = placement_.Tiles(size.pictures, epoch, id, augment);
    return targets_->Count(placement_.Boxes(size.pictures, tiles, augment));
  }

  void Apply(const Sample& sample, uint64_t epoch, uint64_t id, bool augment, int64_t /*length*/,
             std::span<std::byte* const> rows) const override {
    const std::span<const PictureSizes> sizes = sample.tensors[2].As<PictureSizes>();
    std::vector<AnnotatedPicture> pictures;
    const BoxAnnotation* boxes = sample.tensors[3].As<BoxAnnotation>().data();
    for (const PictureSizes& size : sizes) {
      pictures.push_back({size.height, size.width, {boxes, static_cast<size_t>(size.boxes)}});
      boxes += size.boxes;
    }
    const std::vector<Tile> tiles = placement_.Tiles(pictures, epoch, id, augment);
    auto* image = reinterpret_cast<float*>(rows[0]);
    std::fill_n(image, fields_[0].shape.size(), 0.0f);
    Draw(sample, tiles, epoch, id, augment, image);
    targets_->Fill(placement_.Boxes(pictures, tiles, augment), rows.subspan(1));
  }

 private:
  void Draw(const Sample& sample, std::span<const Tile> tiles, uint64_t epoch, uint64_t id, bool augment,
            float* image) const {
    thread_local Scratch scratch;
    const std::span<const char> name = sample.tensors[1].As<char>();
    const Origin origin{std::string(name.begin(), name.end()), "data.train"};
    const std::vector<float> table = TableOf(placement_.Gains(epoch, id, augment));
    const std::span<const PictureSizes> sizes = sample.tensors[2].As<PictureSizes>();
    const PictureFit& fit = placement_.fit();
    std::span<const std::byte> files = sample.tensors[0].bytes;
    for (size_t i = 0; i < tiles.size(); ++i) {
      const auto bytes = files.first(static_cast<size_t>(sizes[i].bytes));
      files = files.subspan(bytes.size());
      const ImageHeader header = ReadImageHeader(bytes, origin);
      RequireSize(header, sizes[i], origin);
      const Image* pixels = &fit.Pixels(bytes, header, tiles[i].placing, origin, scratch.fit);
      if (augment && colored_) {
        scratch.colored = *pixels;
        JitterColors(color_, {seed_, epoch, kColorKey, id}, scratch.colored);
        pixels = &scratch.colored;
      }
      DrawPicture(*pixels, tiles[i], table, fit.height(), fit.width(), scratch.draw, image);
    }
  }

  static void RequireSize(const ImageHeader& header, const PictureSizes& said, const Origin& origin) {
    if (header.height == said.height && header.width == said.width) return;
    throw origin.Bad(fmt::format("it is {} x {} pixels, but its annotations are for {} x {} (width x height)",
                                 header.width, header.height, said.width, said.height),
                     "correct the size in the annotations, and the boxes with it");
  }

  std::vector<float> TableOf(std::span<const float> gains) const {
    std::vector<float> table;
    for (size_t c = 0; c < gains.size(); ++c) {
      const Normalizer channel{normalizer_.scale * gains[c], {normalizer_.mean[c]}, {normalizer_.deviation[c]}};
      const std::vector<float> bytes = ByteTable(channel);
      table.insert(table.end(), bytes.begin(), bytes.end());
    }
    return table;
  }

  const BoxPlacement placement_;
  const ColorJitter color_;
  const bool colored_;
  const Normalizer normalizer_;
  const uint64_t seed_;
  std::unique_ptr<Targets> targets_;
  std::vector<Field> fields_;
};

}  // namespace

std::unique_ptr<Transform> MakeBoxedTransform(std::span<const Field> fields, const DataConfig& config, uint64_t seed) {
  CHECK(fields.size() == 4 && fields[0].name == "pictures" && fields[3].name == "boxes");
  return std::make_unique<BoxedTransform>(config, seed);
}

}  // namespace lockstep::data
