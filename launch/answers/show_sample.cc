#include "launch/answers/show_sample.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include "base/error.h"
#include "data/data.pb.h"
#include "data/image/decode_image.h"
#include "launch/answers/thumbnail.h"

namespace lockstep::launch {
namespace {

constexpr int kMostColumns = 8;

/// "wet" of three features of which one is 1, "2.5" of one.
std::string CellText(const data::TableColumn& column, std::span<const float> features) {
  if (column.values_size() > 0) {
    for (int i = 0; i < column.values_size(); ++i)
      if (features[static_cast<size_t>(i)] != 0) return column.values(i);
    return "another word";
  }
  if (column.flag() && features[1] != 0) return "missing";
  return fmt::format("{:.6g}", features[0]);
}

std::string ColumnsText(const data::Table* table, std::span<const float> features) {
  std::string text;
  const int columns = table == nullptr ? static_cast<int>(features.size()) : table->columns_size();
  size_t at = 0;
  for (int i = 0; i < std::min(columns, kMostColumns); ++i) {
    static const data::TableColumn kNumber;
    const data::TableColumn& column = table == nullptr ? kNumber : table->columns(i);
    const std::string name = column.name().empty() ? fmt::format("column {}", i) : column.name();
    text += fmt::format("{}{}: {}", text.empty() ? "" : ", ", name, CellText(column, features.subspan(at)));
    at += column.values_size() > 0 ? static_cast<size_t>(column.values_size()) : column.flag() ? 2 : 1;
  }
  if (columns > kMostColumns) text += fmt::format(" and {} more columns", columns - kMostColumns);
  return text;
}

/// A file's picture, where it is large at a fraction of its size.
data::Image Decode(const data::Sample& sample) {
  const std::span<const std::byte> bytes = sample.tensors[0].As<std::byte>();
  const std::span<const char> name = sample.tensors[1].As<char>();
  const data::Origin origin{{name.begin(), name.end()}, "the split"};
  const data::ImageHeader header = data::ReadImageHeader(bytes, origin);
  data::DecodeOptions options;
  const int64_t side = std::max(header.height, header.width);
  while (header.reducible && options.reduction < 8 && side / (2 * options.reduction) >= kThumbnailSide)
    options.reduction *= 2;
  data::Image image;
  data::DecodeImage(bytes, options, origin, image);
  return image;
}

/// Values from the least to the largest become 0 to 255.
void Stretch(std::span<const float> values, data::Image& image) {
  const auto [least, largest] = std::minmax_element(values.begin(), values.end());
  const float range = *largest > *least ? *largest - *least : 1;
  for (size_t i = 0; i < values.size(); ++i)
    image.pixels[i] = static_cast<uint8_t>(std::lround(255 * (values[i] - *least) / range));
}

/// Nothing where the samples are no pictures of one or three colours.
std::optional<data::Image> PictureOf(const data::Dataset& samples, const data::Sample& sample) {
  const data::Field& field = samples.fields().front();
  if (field.name == "encoded") return Decode(sample);
  if (field.name != "image" || (field.shape[2] != 1 && field.shape[2] != 3)) return std::nullopt;
  data::Image image;
  image.Resize(field.shape[0], field.shape[1], field.shape[2]);
  if (field.dtype == DType::kU8) {
    const std::span<const uint8_t> pixels = sample.tensors[0].As<uint8_t>();
    image.pixels.assign(pixels.begin(), pixels.end());
  } else {
    Stretch(sample.tensors[0].As<float>(), image);
  }
  return image;
}

}  // namespace

bool HasPictures(const data::Dataset& samples) {
  const std::string& name = samples.fields().front().name;
  return name == "encoded" || name == "image";
}

records::WorstAnswer ShowSample(const data::Dataset& samples, uint64_t sample) {
  const data::SampleText described = samples.Describe(0, sample);
  records::WorstAnswer shown{.sample = sample, .name = described.name.empty() ? described.line : described.name};
  const std::string& field = samples.fields().front().name;
  if (field == "audio") return shown;
  data::Sample read;
  samples.Read(0, sample, read);
  if (field == "features") {
    shown.text = ColumnsText(samples.traits().table.get(), read.tensors[0].As<float>());
  } else if (field == "source") {
    shown.text = samples.TextOf(read.tensors[0].As<int32_t>());
  } else if (const std::optional<data::Image> picture = PictureOf(samples, read)) {
    shown.image = Thumbnail(*picture);
  }
  return shown;
}

}  // namespace lockstep::launch
