#include "data/formats/field_arrays.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <utility>

namespace lockstep::data {
namespace {

using Role = FieldArray::Role;

bool OfIntegers(const FieldArray& field) { return field.role == Role::kIds || field.role == Role::kLabel; }

void CheckForm(const FieldArray& field) {
  const NpyHeader& type = field.array.array.header;
  const Origin& origin = field.array.origin;
  if (type.shape.empty() || type.shape.size() > Shape::kMaxRank)
    throw origin.Bad(fmt::format("it has shape {}", ShapeText(type)),
                     fmt::format("a row for each sample: [n] or [n, ...], of up to {} dimensions", Shape::kMaxRank));
  if (std::any_of(type.shape.begin(), type.shape.end(), [](int64_t dim) { return dim == 0; }))
    throw origin.Bad(fmt::format("there is nothing in it: its shape is {}", ShapeText(type)));
  if (std::any_of(type.shape.begin() + 1, type.shape.end(), [](int64_t dim) { return dim > (1 << 24); }))
    throw origin.Bad(fmt::format("its shape is {}, and no sample is so large", ShapeText(type)));
  if (!IsNumber(type))
    throw origin.Bad("it holds words, and no numbers", "number them: numpy.unique(words, return_inverse=True)");
  if (OfIntegers(field) && !IsInteger(type))
    throw origin.Bad(
        fmt::format("{} are floats ({}), and no integers", field.role == Role::kIds ? "ids" : "labels", type.descr),
        "save them with array.astype(numpy.int64)");
}

Shape SampleShape(const FieldArray& field) {
  const std::vector<int64_t>& shape = field.array.array.header.shape;
  if (shape.size() == 1 && !OfIntegers(field)) return Shape{1};
  return Shape(std::span(shape).subspan(1));
}

/// Ids and classes, and how many there are.
void ReadIntegers(const FieldArray& field, KeptSamples& kept, Column& column) {
  const NpyHeader& type = field.array.array.header;
  const std::byte* from = field.array.array.elements().data();
  const size_t columns = RowElements(type);
  const int64_t most = field.classes > 0 ? field.classes - 1 : std::numeric_limits<int32_t>::max() - 1;
  column.bytes.resize(kept.samples() * columns * sizeof(int32_t));
  auto* to = reinterpret_cast<int32_t*>(column.bytes.data());
  int32_t largest = -1;
  for (size_t sample = 0; sample < kept.samples(); ++sample) {
    for (size_t i = 0; i < columns; ++i, from += type.width) {
      const int64_t value = LoadInteger(from, type);
      const bool fits = value >= -1 && value <= most;
      to[sample * columns + i] = fits ? static_cast<int32_t>(value) : -1;
      if (fits) largest = std::max(largest, to[sample * columns + i]);
      if (fits || !kept.Has(sample)) continue;
      kept.Drop(sample, field.array.origin.Bad(fmt::format("{}: {} is not in -1 to {}", PlaceOf(type, sample, i),
                                                           NumberText(from, type), most),
                                               "number them from 0; -1 is none"));
    }
  }
  column.field.classes = field.classes > 0 ? field.classes : largest + 1;
}

}  // namespace

Column ReadFieldArray(FieldArray field, const Origin& first, KeptSamples& kept) {
  CheckForm(field);
  RequireSamples(field.array, "rows", kept, first);
  const bool answer = field.role == Role::kTarget || field.role == Role::kLabel;
  Column column;
  column.field = {.name = field.name,
                  .dtype = OfIntegers(field) ? DType::kI32 : DType::kF32,
                  .shape = SampleShape(field),
                  .padding = field.role == Role::kLabel ? -1 : 0,
                  .use = answer ? Field::Use::kAnswer : Field::Use::kInput,
                  .scale = field.scale};
  const NpyHeader& type = field.array.array.header;
  if (OfIntegers(field)) {
    ReadIntegers(field, kept, column);
  } else if (type.kind == 'u' && type.width == 1) {
    column.field.dtype = DType::kU8;
    column.bytes = std::move(field.array.array.bytes);
    column.offset = field.array.array.offset;
  } else {
    column.bytes = ReadFloats(field.array, kept);
  }
  return column;
}

}  // namespace lockstep::data
