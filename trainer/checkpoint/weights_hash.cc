#include "trainer/checkpoint/weights_hash.h"

#include <algorithm>
#include <vector>

#include "base/hash.h"
#include "trainer/checkpoint/shard_format.h"

namespace lockstep::checkpoint {

uint64_t WeightsHash(const Reader& reader, int array) {
  std::vector<const Tensor*> tensors;
  for (const Tensor& tensor : reader.manifest().tensors())
    if (!tensor.statistic()) tensors.push_back(&tensor);
  std::sort(tensors.begin(), tensors.end(), [](const Tensor* a, const Tensor* b) { return a->name() < b->name(); });
  Hasher hasher;
  std::vector<float> piece;
  for (const Tensor* tensor : tensors) {
    hasher.Add(tensor->name());
    const int64_t size = ElementsOf(*tensor);
    for (int64_t at = 0; at < size; at += kMaxChunkElements) {
      piece.resize(static_cast<size_t>(std::min(kMaxChunkElements, size - at)));
      reader.Read(array, tensor->offset() + at, piece);
      hasher.Add(std::as_bytes(std::span(piece)));
    }
  }
  return hasher.Digest();
}

}  // namespace lockstep::checkpoint
