#include "data/formats/array_elements.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>
#include <cstring>
#include <vector>

namespace lockstep::data {
namespace {

float FromHalf(uint16_t half) {
  const int exponent = half >> 10 & 31;
  const auto fraction = static_cast<float>(half & 1023);
  const float size = exponent == 31  ? (fraction == 0 ? INFINITY : NAN)
                     : exponent == 0 ? std::ldexp(fraction, -24)
                                     : std::ldexp(fraction + 1024, exponent - 25);
  return (half & 0x8000) != 0 ? -size : size;
}

template <typename T>
T Load(const std::byte* from) {
  T value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

}  // namespace

bool IsNumber(const NpyHeader& header) { return header.kind != 'U' && header.kind != 'S'; }

bool IsInteger(const NpyHeader& header) { return IsNumber(header) && header.kind != 'f'; }

int64_t LoadInteger(const std::byte* from, const NpyHeader& header) {
  const bool is_signed = header.kind == 'i';
  switch (header.width) {
    case 1:
      if (header.kind == 'b') return Load<uint8_t>(from) != 0;
      return is_signed ? Load<int8_t>(from) : Load<uint8_t>(from);
    case 2:
      return is_signed ? Load<int16_t>(from) : Load<uint16_t>(from);
    case 4:
      return is_signed ? int64_t{Load<int32_t>(from)} : int64_t{Load<uint32_t>(from)};
    default:
      return Load<int64_t>(from);
  }
}

float LoadNumber(const std::byte* from, const NpyHeader& header) {
  if (header.kind == 'f') {
    if (header.width == 8) return static_cast<float>(Load<double>(from));
    return header.width == 4 ? Load<float>(from) : FromHalf(Load<uint16_t>(from));
  }
  if (header.kind == 'u' && header.width == 8) return static_cast<float>(Load<uint64_t>(from));
  return static_cast<float>(LoadInteger(from, header));
}

std::string ShapeText(const NpyHeader& header) { return fmt::format("({})", fmt::join(header.shape, ", ")); }

std::string NumberText(const std::byte* from, const NpyHeader& header) {
  if (header.kind == 'f' && header.width == 8) return fmt::format("{}", Load<double>(from));
  return header.kind == 'f' ? fmt::format("{}", LoadNumber(from, header))
                            : fmt::format("{}", LoadInteger(from, header));
}

std::string PlaceOf(const NpyHeader& header, size_t sample, size_t element) {
  if (header.shape.size() <= 1) return fmt::format("row {} (from 0)", sample);
  if (header.shape.size() == 2) return fmt::format("row {}, column {} (from 0)", sample, element);
  std::vector<size_t> index;
  for (size_t i = header.shape.size(); i-- > 1;) {
    index.insert(index.begin(), element % static_cast<size_t>(header.shape[i]));
    element /= static_cast<size_t>(header.shape[i]);
  }
  return fmt::format("row {}, at [{}] (from 0)", sample, fmt::join(index, ", "));
}

size_t RowElements(const NpyHeader& header) {
  size_t elements = 1;
  for (size_t i = 1; i < header.shape.size(); ++i) elements *= static_cast<size_t>(header.shape[i]);
  return elements;
}

}  // namespace lockstep::data
