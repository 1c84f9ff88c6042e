#include "data/rows/passed_field.h"

#include <cstdint>
#include <cstring>
#include <span>

#include "base/error.h"

namespace lockstep::data {
namespace {

template <typename T>
void Scale(std::span<const T> values, float scale, std::byte* row) {
  auto* to = reinterpret_cast<float*>(row);
  for (size_t i = 0; i < values.size(); ++i) to[i] = static_cast<float>(values[i]) * scale;
}

bool BecomesFloats(const Field& field) { return field.use != Field::Use::kFormats && field.dtype == DType::kU8; }

}  // namespace

Field PassedField(const Field& field) {
  Field passed = field;
  if (BecomesFloats(field)) passed.dtype = DType::kF32;
  passed.scale = 1;
  return passed;
}

void PassValues(const Sample::Tensor& tensor, const Field& field, std::byte* row) {
  CHECK(static_cast<int64_t>(tensor.bytes.size()) == field.shape.size() * SizeOf(field.dtype));
  if (BecomesFloats(field)) return Scale(tensor.As<uint8_t>(), field.scale, row);
  if (field.dtype == DType::kF32 && field.scale != 1) return Scale(tensor.As<float>(), field.scale, row);
  std::memcpy(row, tensor.bytes.data(), tensor.bytes.size());
}

}  // namespace lockstep::data
