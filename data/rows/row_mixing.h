// Mixes the rows of a training batch with each other: mixup (Zhang et al. 2018) blends two samples, CutMix (Yun et al.
// 2019) puts a part of one picture into another. A sample is mixed with the next row of its lane, the last with the
// first; how much of it stays is drawn from its own stream.
#pragma once

#include <cstdint>
#include <span>

#include "data/data.pb.h"
#include "data/dataset.h"
#include "data/sampler.h"

namespace lockstep::data {

/// A part of a picture: rows [top, bottom) and columns [left, right).
struct PixelBox {
  int64_t top = 0, left = 0, bottom = 0, right = 0;
};

/// How one row becomes: `share` of it and the rest of the other; by CutMix the other's pixels in `box`.
struct RowMix {
  bool cut = false;
  float share = 1;
  PixelBox box;
};

class RowMixing {
 public:
  /// `input` is what is mixed: "image" f32 [height, width, channels] or "features" f32 [n]. Throws Error(kUsage).
  RowMixing(const Augment& augment, const Field& input, uint64_t seed);

  bool active() const { return mixup_ > 0 || cutmix_ > 0; }
  /// Of sample `id` of epoch `epoch`.
  RowMix Draw(uint64_t epoch, uint64_t id) const;
  /// Mixes `to` with `other`, two rows of the input.
  void MixInput(const RowMix& mix, std::span<const float> other, std::span<float> to) const;

 private:
  Shape image_;
  uint64_t seed_;
  double mixup_ = 0, cutmix_ = 0;  ///< alphas; 0: not asked for
};

/// to = share to + (1 - share) other
void Blend(float share, std::span<const float> other, std::span<float> to);

}  // namespace lockstep::data
