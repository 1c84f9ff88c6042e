#include "trainer/onnx/tensor.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstring>
#include <limits>

#include "base/error.h"

namespace lockstep::onnx {
namespace {

/// More elements than any weight has; keeps what is computed from dimensions within int64.
constexpr int64_t kMostElements = int64_t{1} << 40;

[[noreturn]] void Fail(const TensorProto& proto, const std::string& what) {
  throw Error(ErrorKind::kData, fmt::format("tensor \"{}\" {}", proto.name(), what), "",
              "the file is damaged, or no ONNX model that Lockstep reads");
}

template <typename T>
T LoadAs(const char* bytes) {
  T value;
  std::memcpy(&value, bytes, sizeof value);
  return value;
}

float HalfToFloat(uint16_t bits) {
  const uint32_t sign = static_cast<uint32_t>(bits & 0x8000) << 16;
  const int exponent = (bits >> 10) & 31;
  const uint32_t fraction = bits & 1023;
  if (exponent == 31) return std::bit_cast<float>(sign | 0x7f800000u | (fraction << 13));
  const float magnitude = exponent == 0 ? std::ldexp(static_cast<float>(fraction), -24)
                                        : std::ldexp(static_cast<float>(fraction + 1024), exponent - 25);
  return sign != 0 ? -magnitude : magnitude;
}

float BFloatToFloat(uint16_t bits) { return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16); }

size_t BytesOf(const TensorProto& proto) {
  switch (proto.data_type()) {
    case TensorProto::BOOL:
    case TensorProto::UINT8:
    case TensorProto::INT8:
      return 1;
    case TensorProto::UINT16:
    case TensorProto::INT16:
    case TensorProto::FLOAT16:
    case TensorProto::BFLOAT16:
      return 2;
    case TensorProto::FLOAT:
    case TensorProto::INT32:
    case TensorProto::UINT32:
      return 4;
    case TensorProto::DOUBLE:
    case TensorProto::INT64:
    case TensorProto::UINT64:
      return 8;
    default:
      Fail(proto, "is of type " + TypeName(proto.data_type()) + ", which Lockstep doesn't read");
  }
}

double ElementAt(const char* bytes, int type) {
  switch (type) {
    case TensorProto::BOOL:
      return *bytes != 0 ? 1 : 0;
    case TensorProto::UINT8:
      return LoadAs<uint8_t>(bytes);
    case TensorProto::INT8:
      return LoadAs<int8_t>(bytes);
    case TensorProto::UINT16:
      return LoadAs<uint16_t>(bytes);
    case TensorProto::INT16:
      return LoadAs<int16_t>(bytes);
    case TensorProto::FLOAT16:
      return HalfToFloat(LoadAs<uint16_t>(bytes));
    case TensorProto::BFLOAT16:
      return BFloatToFloat(LoadAs<uint16_t>(bytes));
    case TensorProto::FLOAT:
      return LoadAs<float>(bytes);
    case TensorProto::INT32:
      return LoadAs<int32_t>(bytes);
    case TensorProto::UINT32:
      return LoadAs<uint32_t>(bytes);
    case TensorProto::INT64:
      return static_cast<double>(LoadAs<int64_t>(bytes));
    case TensorProto::UINT64:
      return static_cast<double>(LoadAs<uint64_t>(bytes));
    default:
      return LoadAs<double>(bytes);
  }
}

uint64_t ParseNumber(const TensorProto& proto, const std::string& key, const std::string& text) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size())
    Fail(proto, fmt::format("says that its {} in another file is \"{}\"", key, text));
  return value;
}

std::string ExternalBytes(const TensorProto& proto, uint64_t wanted, const ReadExternal& external) {
  std::string location;
  uint64_t offset = 0, length = wanted;
  for (const StringStringEntryProto& entry : proto.external_data()) {
    if (entry.key() == "location") location = entry.value();
    if (entry.key() == "offset") offset = ParseNumber(proto, "offset", entry.value());
    if (entry.key() == "length") length = ParseNumber(proto, "length", entry.value());
  }
  if (length != wanted) Fail(proto, fmt::format("has {} bytes in \"{}\", but needs {}", length, location, wanted));
  if (!external) Fail(proto, "lies in another file, which can't be read from here");
  return external(location, offset, length);
}

/// Calls `put(index, value)` for each element.
template <typename Put>
void ForEachElement(const TensorProto& proto, const ReadExternal& external, const Put& put) {
  const int64_t count = ElementsOf(Dims(proto.dims().begin(), proto.dims().end()));
  const size_t width = BytesOf(proto);
  const uint64_t wanted = static_cast<uint64_t>(count) * width;
  const auto put_raw = [&](const std::string& bytes) {
    if (bytes.size() != wanted) Fail(proto, fmt::format("has {} bytes, but needs {}", bytes.size(), wanted));
    for (int64_t i = 0; i < count; ++i)
      put(i, ElementAt(bytes.data() + static_cast<size_t>(i) * width, proto.data_type()));
  };
  const auto put_field = [&](const auto& field, const auto& convert) {
    if (field.size() != count) Fail(proto, fmt::format("has {} values, but needs {}", field.size(), count));
    for (int64_t i = 0; i < count; ++i) put(i, convert(field[static_cast<int>(i)]));
  };
  if (proto.data_location() == TensorProto::EXTERNAL) return put_raw(ExternalBytes(proto, wanted, external));
  if (proto.has_raw_data()) return put_raw(proto.raw_data());
  const auto plain = [](auto value) { return static_cast<double>(value); };
  switch (proto.data_type()) {
    case TensorProto::FLOAT:
      return put_field(proto.float_data(), plain);
    case TensorProto::DOUBLE:
      return put_field(proto.double_data(), plain);
    case TensorProto::INT64:
      return put_field(proto.int64_data(), plain);
    case TensorProto::UINT32:
    case TensorProto::UINT64:
      return put_field(proto.uint64_data(), plain);
    case TensorProto::FLOAT16:
      return put_field(proto.int32_data(),
                       [](int32_t bits) -> double { return HalfToFloat(static_cast<uint16_t>(bits)); });
    case TensorProto::BFLOAT16:
      return put_field(proto.int32_data(),
                       [](int32_t bits) -> double { return BFloatToFloat(static_cast<uint16_t>(bits)); });
    default:
      return put_field(proto.int32_data(), plain);
  }
}

}  // namespace

int64_t ElementsOf(const Dims& dims) {
  int64_t count = 1;
  for (const int64_t dim : dims) {
    if (dim < 0 || dim > kMostElements || count * std::max<int64_t>(dim, 1) > kMostElements)
      throw Error(ErrorKind::kData, fmt::format("a tensor of {}", ToString(dims)), "", "the file is damaged");
    count = count * dim;
    if (count == 0) return 0;
  }
  return count;
}

std::string ToString(const Dims& dims) { return fmt::format("[{}]", fmt::join(dims, ", ")); }

bool IsFloatType(int type) {
  return type == TensorProto::FLOAT || type == TensorProto::FLOAT16 || type == TensorProto::BFLOAT16 ||
         type == TensorProto::DOUBLE;
}

bool IsIntegerType(int type) {
  return (type >= TensorProto::UINT8 && type <= TensorProto::INT64) || type == TensorProto::UINT32 ||
         type == TensorProto::UINT64;
}

std::string TypeName(int type) {
  return TensorProto::DataType_IsValid(type) ? TensorProto::DataType_Name(static_cast<TensorProto::DataType>(type))
                                             : fmt::format("{}", type);
}

double RoundTo(int type, double value) {
  if (type == TensorProto::BOOL) return value != 0 ? 1 : 0;
  if (IsIntegerType(type)) return std::trunc(value);
  return type == TensorProto::DOUBLE ? value : static_cast<double>(static_cast<float>(value));
}

double Decimal(double value) {
  const float rounded = static_cast<float>(value);
  if (static_cast<double>(rounded) != value || !std::isfinite(value)) return value;
  return std::strtod(fmt::format("{}", rounded).c_str(), nullptr);
}

int64_t ToInt64(double value) {
  constexpr double kMost = 9.2e18;
  return std::isnan(value) ? 0 : static_cast<int64_t>(std::clamp(value, -kMost, kMost));
}

Tensor ReadTensor(const TensorProto& proto, const ReadExternal& external) {
  Tensor tensor{proto.data_type(), Dims(proto.dims().begin(), proto.dims().end()), {}};
  ForEachElement(proto, external, [&](int64_t, double value) { tensor.values.push_back(value); });
  return tensor;
}

std::vector<float> ReadFloats(const TensorProto& proto, const ReadExternal& external) {
  std::vector<float> values;
  ForEachElement(proto, external, [&](int64_t, double value) { values.push_back(static_cast<float>(value)); });
  return values;
}

}  // namespace lockstep::onnx
