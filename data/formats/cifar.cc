#include "data/formats/cifar.h"

namespace lockstep::data {
namespace {

constexpr int kSide = 32, kChannels = 3, kClasses = 10;
constexpr size_t kPlane = kSide * kSide, kRecord = 1 + kChannels * kPlane;

void CheckLength(size_t bytes, const Origin& origin) {
  if (bytes > 0 && bytes % kRecord == 0) return;
  const bool fine_labels = bytes > 0 && bytes % (kRecord + 1) == 0;
  throw origin.Bad(fmt::format("{} bytes are not a whole number of records of {} bytes", bytes, kRecord),
                   fine_labels
                       ? "this looks like CIFAR-100, which has two labels a record; CIFAR-10 is read"
                       : fmt::format("copy or download it again; {} wants CIFAR-10's binary version", origin.field));
}

}  // namespace

void CifarReader::Add(std::span<const std::byte> file, const Origin& origin) {
  CheckLength(file.size(), origin);
  const size_t records = file.size() / kRecord;
  size_t next = pixels_.size();
  pixels_.resize(pixels_.size() + records * kChannels * kPlane);
  for (size_t i = 0; i < records; ++i) {
    const auto record = file.subspan(i * kRecord, kRecord);
    const int label = std::to_integer<int>(record[0]);
    if (label >= kClasses) {
      throw origin.Bad(fmt::format("record {} (from 0): label {} is not between 0 and {}", i, label, kClasses - 1),
                       fmt::format("{} wants CIFAR-10's binary version", origin.field));
    }
    labels_.push_back(label);
    const auto planes = record.subspan(1);
    for (size_t pixel = 0; pixel < kPlane; ++pixel) {
      for (size_t channel = 0; channel < kChannels; ++channel) pixels_[next++] = planes[channel * kPlane + pixel];
    }
  }
}

Records CifarReader::Finish() {
  Records records{.format = "cifar10 1", .size = labels_.size()};
  records.columns.push_back({{"image", DType::kU8, Shape{kSide, kSide, kChannels}}, std::move(pixels_)});
  records.columns.push_back(LabelColumn(labels_));
  records.classes = kClasses;
  return records;
}

}  // namespace lockstep::data
