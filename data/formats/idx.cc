#include "data/formats/idx.h"

namespace lockstep::data {
namespace {

constexpr uint32_t kUnsignedByte = 0x08;

uint32_t BigEndian(std::span<const std::byte> bytes) {
  uint32_t value = 0;
  for (std::byte byte : bytes.first(4)) value = value << 8 | std::to_integer<uint32_t>(byte);
  return value;
}

/// "3 or 4 dimensions".
std::string DimensionsText(int least, int most) {
  return least == most ? fmt::format("{} dimension{}", least, least == 1 ? "" : "s")
                       : fmt::format("{} or {} dimensions", least, most);
}

void CheckMagic(uint32_t magic, const Origin& origin, const char* what, int least_dims, int most_dims) {
  const int dims = static_cast<int>(magic & 0xff);
  if (magic >> 16 != 0) {
    throw origin.Bad(fmt::format("not an IDX file: it begins with {:#010x}, not with two zero bytes", magic),
                     fmt::format("{} wants IDX, plain or gzipped", origin.field));
  }
  if ((magic >> 8 & 0xff) != kUnsignedByte) {
    throw origin.Bad(fmt::format(
        "wrong IDX magic number {:#010x}: elements of type {:#04x}, but only unsigned bytes (0x08) are read", magic,
        magic >> 8 & 0xff));
  }
  if (dims < least_dims || dims > most_dims) {
    throw origin.Bad(fmt::format("wrong IDX magic number {:#010x}: {}, but {} have {}", magic,
                                 DimensionsText(dims, dims), what, DimensionsText(least_dims, most_dims)),
                     fmt::format("check {}: are images and labels exchanged?", origin.field));
  }
}

}  // namespace

IdxHeader ParseIdxHeader(std::span<const std::byte> file, const Origin& origin, const char* what, int least_dims,
                         int most_dims) {
  const auto cut_off = [&](uint64_t wanted) {
    return origin.Bad(fmt::format("the file is too short: {} bytes where its header promises {}", file.size(), wanted),
                      fmt::format("copy or download it again; it is named by {}", origin.field));
  };
  if (file.size() < 4) throw cut_off(4);
  const uint32_t magic = BigEndian(file);
  CheckMagic(magic, origin, what, least_dims, most_dims);

  IdxHeader header;
  const size_t dims = magic & 0xff;
  header.bytes = 4 + 4 * dims;
  if (file.size() < header.bytes) throw cut_off(header.bytes);
  uint64_t elements = 1;
  bool overflow = false;
  for (size_t i = 0; i < dims; ++i) {
    const uint32_t dim = BigEndian(file.subspan(4 + 4 * i));
    header.dims.push_back(dim);
    overflow |= __builtin_mul_overflow(elements, uint64_t{dim}, &elements);
  }
  if (overflow) {
    throw origin.Bad(fmt::format("the dimensions {} in the IDX header are impossible", Shape(header.dims).ToString()),
                     fmt::format("the file is damaged; it is named by {}", origin.field));
  }
  if (elements == 0) {
    throw origin.Bad(fmt::format("there is nothing in the file: its dimensions are {}", Shape(header.dims).ToString()));
  }
  if (file.size() - header.bytes < elements) throw cut_off(header.bytes + elements);
  if (file.size() - header.bytes > elements) {
    throw origin.Bad(fmt::format("{} bytes follow the {} elements that the IDX header promises",
                                 file.size() - header.bytes - elements, elements),
                     fmt::format("copy or download it again; it is named by {}", origin.field));
  }
  return header;
}

Records ReadIdx(std::vector<std::byte> images, const Origin& images_origin, std::span<const std::byte> labels,
                const Origin& labels_origin) {
  const IdxHeader image_header = ParseIdxHeader(images, images_origin, "images", 3, 4);
  const IdxHeader label_header = ParseIdxHeader(labels, labels_origin, "labels", 1, 1);
  const auto& dims = image_header.dims;
  if (dims[0] != label_header.dims[0]) {
    throw labels_origin.Bad(
        fmt::format("{} labels for the {} images of {}", label_header.dims[0], dims[0], images_origin.path),
        fmt::format("{} and {} must be of one data set", images_origin.field, labels_origin.field));
  }
  std::vector<int32_t> values;
  values.reserve(static_cast<size_t>(dims[0]));
  for (std::byte label : labels.subspan(label_header.bytes)) values.push_back(std::to_integer<int32_t>(label));

  const Field image{"image", DType::kU8, Shape{dims[1], dims[2], dims.size() == 4 ? dims[3] : 1}};
  Records records{.format = "idx 1", .size = static_cast<uint64_t>(dims[0])};
  records.columns.push_back({image, std::move(images), image_header.bytes});
  records.columns.push_back(LabelColumn(values));
  records.classes = CountClasses(values);
  return records;
}

}  // namespace lockstep::data
