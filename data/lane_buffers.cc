#include "data/lane_buffers.h"

#include "base/error.h"

namespace lockstep::data {

std::vector<Buffer> AllocateLaneBatch(const Transform& transform, int64_t rows, LaneBatch& batch) {
  std::vector<Field> fields(transform.fields().begin(), transform.fields().end());
  fields.push_back({"mask", DType::kF32, Shape{}});
  std::vector<Buffer> buffers;
  for (Field& field : fields) {
    for (int64_t dim : field.shape.dims())
      CHECK(dim > 0, "the length of {} {} varies", field.name, field.shape.ToString());
    field.shape = field.shape.Batched(rows);
    buffers.emplace_back(static_cast<size_t>(field.shape.size() * SizeOf(field.dtype)));
    batch.data.push_back(buffers.back().data());
  }
  batch.fields = std::move(fields);
  return buffers;
}

void PointAtRow(const LaneBatch& batch, int64_t row, std::vector<std::byte*>& pointers) {
  pointers.resize(batch.fields.size() - 1);
  for (size_t i = 0; i < pointers.size(); ++i) {
    const Field& field = batch.fields[i];
    pointers[i] = batch.data[i] + row * (field.shape.size() / field.shape[0]) * SizeOf(field.dtype);
  }
}

}  // namespace lockstep::data
