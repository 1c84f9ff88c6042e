#include "data/boxes/boxed_pictures.h"

#include <array>
#include <cstring>
#include <span>

#include "base/error.h"
#include "base/hash.h"
#include "data/image/decode_image.h"
#include "data/pictures/hash_pictures.h"

namespace lockstep::data {
namespace {

uint64_t FingerprintOf(const BoxedPictures& pictures, const FingerprintOptions& options) {
  Hasher hasher;
  AddText(pictures.format, hasher);
  for (const std::string& name : pictures.class_names) AddText(name, hasher);
  HashNames(*pictures.store, hasher);
  hasher.Add(std::as_bytes(std::span(pictures.ends)));
  for (const BoxAnnotation& box : pictures.boxes) {  // value by value: there is padding between them
    const std::array<double, 5> values = {box.x, box.y, box.width, box.height, box.area};
    hasher.Add(std::as_bytes(std::span(values)));
    hasher.AddInteger(static_cast<uint64_t>(box.category) * 2 + (box.crowd ? 1 : 0));
  }
  HashFiles(*pictures.store, options, hasher);
  return hasher.Digest();
}

/// Asks files for the sizes that nobody said.
void ReadSizes(BoxedPictures& pictures) {
  std::vector<std::byte> bytes;
  for (uint64_t id = 0; id < pictures.store->size(); ++id) {
    if (pictures.heights[id] > 0 && pictures.widths[id] > 0) continue;
    pictures.store->Read(id, bytes);
    const ImageHeader header = ReadImageHeader(bytes, {pictures.store->Path(id), "data.train"});
    pictures.heights[id] = header.height;
    pictures.widths[id] = header.width;
  }
}

class BoxedDataset final : public Dataset {
 public:
  BoxedDataset(BoxedPictures pictures, const FingerprintOptions& options)
      : pictures_(std::move(pictures)),
        fields_{{Field{"pictures", DType::kU8, Shape{-1}}, Field{"name", DType::kU8, Shape{-1}},
                 Field{"sizes", DType::kI64, Shape{-1}}, Field{"boxes", DType::kU8, Shape{-1}}}},
        traits_{.classes = static_cast<int>(pictures_.class_names.size()),
                .class_names = pictures_.class_names,
                .labels = 0},
        fingerprint_(FingerprintOf(pictures_, options)) {}

  uint64_t size() const override { return pictures_.store->size(); }
  std::span<const Field> fields() const override { return fields_; }
  const SourceTraits& traits() const override { return traits_; }
  uint64_t fingerprint() const override { return fingerprint_; }

  SampleText Describe(uint64_t, uint64_t id) const override {
    return {.line = pictures_.store->Path(id), .name = pictures_.store->Name(id)};
  }

  void Measure(uint64_t, uint64_t id, SampleSize& size) const override {
    const std::span<const BoxAnnotation> boxes = BoxesOf(id);
    size.labels = boxes.size();
    size.lengths.clear();
    size.pictures = {{pictures_.heights[id], pictures_.widths[id], boxes}};
  }

  void Read(uint64_t, uint64_t id, Sample& sample) const override {
    CHECK(id < size(), "sample {} of {}", id, size());
    sample.tensors.resize(fields_.size());
    Sample::Tensor& files = sample.tensors[0];
    pictures_.store->Read(id, files.bytes);
    files.shape = Shape{static_cast<int64_t>(files.bytes.size())};
    const std::string path = pictures_.store->Path(id);
    sample.tensors[1].Assign(std::span<const char>(path));
    const std::span<const BoxAnnotation> boxes = BoxesOf(id);
    const PictureSizes sizes{static_cast<int64_t>(files.bytes.size()), pictures_.heights[id], pictures_.widths[id],
                             static_cast<int64_t>(boxes.size())};
    sample.tensors[2].Assign(std::span<const PictureSizes>(&sizes, 1));
    sample.tensors[3].Assign(boxes);
  }

 private:
  std::span<const BoxAnnotation> BoxesOf(uint64_t id) const {
    const uint64_t begin = id == 0 ? 0 : pictures_.ends[id - 1];
    return std::span(pictures_.boxes).subspan(begin, pictures_.ends[id] - begin);
  }

  const BoxedPictures pictures_;
  const std::array<Field, 4> fields_;
  const SourceTraits traits_;
  const uint64_t fingerprint_;
};

}  // namespace

std::unique_ptr<Dataset> MakeBoxedDataset(BoxedPictures pictures, const FingerprintOptions& options) {
  const uint64_t size = pictures.store->size();
  CHECK(size > 0 && pictures.heights.size() == size && pictures.widths.size() == size && pictures.ends.size() == size &&
        pictures.ends.back() == pictures.boxes.size());
  ReadSizes(pictures);
  return std::make_unique<BoxedDataset>(std::move(pictures), options);
}

}  // namespace lockstep::data
