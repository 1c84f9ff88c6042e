#include "data/image/resize.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/error.h"
#include "base/isa_clones.h"

namespace lockstep::data {
namespace {

constexpr int kPrecision = 22;  // bits of weights behind the point: with a byte's 8 a sum has 30
constexpr int32_t kHalf = 1 << (kPrecision - 1);

/// One direction: where [begin, end) of `size` pixels becomes `count` pixels.
struct Axis {
  double begin, end;
  int64_t size, count;

  double scale() const { return (end - begin) / static_cast<double>(count); }
  /// Half the width of the filter, in pixels.
  double support() const { return std::max(scale(), 1.0); }
  double Centre(int64_t i) const { return begin + (static_cast<double>(i) + 0.5) * scale(); }
  /// Pixels [First(i), End(i)) have a part in pixel i of the result.
  int64_t First(int64_t i) const {
    return std::max<int64_t>(0, static_cast<int64_t>(std::floor(Centre(i) - support() + 0.5)));
  }
  int64_t End(int64_t i) const { return std::min(size, static_cast<int64_t>(std::floor(Centre(i) + support() + 0.5))); }
  /// Nothing is to be done.
  bool whole() const { return begin == 0 && count == size && end == static_cast<double>(size); }
};

Axis RowsOf(const Resizing& r) { return {r.box.top, r.box.bottom, r.picture_height, r.height}; }
Axis ColumnsOf(const Resizing& r) { return {r.box.left, r.box.right, r.picture_width, r.width}; }

/// What each pixel of a result is the weighted sum of: `taps` pixels from its first on. The weights behind its own are
/// 0, and their pixels exist.
struct Filter {
  int64_t taps = 0;
  const int64_t* firsts = nullptr;   ///< [count], from the first pixel that is needed
  const int32_t* weights = nullptr;  ///< [count, taps]
};

Filter MakeFilter(const Axis& axis, ResizeScratch& scratch) {
  const int64_t needed_first = axis.First(0), needed_end = axis.End(axis.count - 1);
  Filter filter;
  for (int64_t i = 0; i < axis.count; ++i) filter.taps = std::max(filter.taps, axis.End(i) - axis.First(i));
  scratch.firsts.resize(static_cast<size_t>(axis.count));
  scratch.weights.assign(static_cast<size_t>(axis.count * filter.taps), 0);
  std::vector<double> exact(static_cast<size_t>(filter.taps));
  for (int64_t i = 0; i < axis.count; ++i) {
    const int64_t first = axis.First(i), taps = axis.End(i) - first;
    const double inverse = 1.0 / axis.support();
    double sum = 0;
    for (int64_t k = 0; k < taps; ++k) {
      const double distance = std::fabs((static_cast<double>(k + first) - axis.Centre(i) + 0.5) * inverse);
      exact[static_cast<size_t>(k)] = distance < 1 ? 1 - distance : 0;
      sum += exact[static_cast<size_t>(k)];
    }
    const int64_t start = std::min(first, needed_end - filter.taps);  // so that pixels behind its own exist
    int32_t* weights = scratch.weights.data() + i * filter.taps + (first - start);
    for (int64_t k = 0; k < taps; ++k) {
      const double share = sum == 0 ? 0 : exact[static_cast<size_t>(k)] / sum;
      weights[k] = static_cast<int32_t>(std::floor(0.5 + share * (int64_t{1} << kPrecision)));
    }
    scratch.firsts[static_cast<size_t>(i)] = start - needed_first;
  }
  filter.firsts = scratch.firsts.data();
  filter.weights = scratch.weights.data();
  return filter;
}

constexpr int kRowsAtOnce = 4, kNumbers = 16;  // of each row three numbers, and one that doesn't count

/// Resizes four rows of RGB at once: `columns` [pixels, rows at once, 4] to `result` [count, rows at once, 4].
LOCKSTEP_ISA_CLONES void ResizeRgbRows(const uint8_t* columns, const Filter& filter, int64_t count, uint8_t* result) {
  for (int64_t i = 0; i < count; ++i) {
    int32_t sums[kNumbers];
    for (int c = 0; c < kNumbers; ++c) sums[c] = kHalf;
    const int32_t* weights = filter.weights + i * filter.taps;
    const uint8_t* pixels = columns + filter.firsts[i] * kNumbers;
    for (int64_t k = 0; k < filter.taps; ++k, pixels += kNumbers) {
      for (int c = 0; c < kNumbers; ++c) sums[c] += pixels[c] * weights[k];
    }
    for (int c = 0; c < kNumbers; ++c) result[i * kNumbers + c] = static_cast<uint8_t>(sums[c] >> kPrecision);
  }
}

/// Puts pixels of four rows beside each other, and takes them apart again. All but a row's last pixel are moved with
/// one byte of the next, which comes after it.
void Interleave(const uint8_t* const rows[kRowsAtOnce], int64_t count, uint8_t* columns) {
  for (int64_t x = 0; x + 1 < count; ++x) {
    for (int row = 0; row < kRowsAtOnce; ++row) std::memcpy(columns + x * kNumbers + row * 4, rows[row] + x * 3, 4);
  }
  for (int row = 0; row < kRowsAtOnce; ++row)
    std::memcpy(columns + (count - 1) * kNumbers + row * 4, rows[row] + (count - 1) * 3, 3);
}
void Separate(const uint8_t* columns, int64_t count, uint8_t* const rows[kRowsAtOnce]) {
  for (int64_t x = 0; x + 1 < count; ++x) {
    for (int row = 0; row < kRowsAtOnce; ++row) std::memcpy(rows[row] + x * 3, columns + x * kNumbers + row * 4, 4);
  }
  for (int row = 0; row < kRowsAtOnce; ++row)
    std::memcpy(rows[row] + (count - 1) * 3, columns + (count - 1) * kNumbers + row * 4, 3);
}

void ResizeGreyRow(const uint8_t* row, const Filter& filter, int64_t count, uint8_t* output) {
  for (int64_t i = 0; i < count; ++i) {
    int32_t sum = kHalf;
    const uint8_t* pixels = row + filter.firsts[i];
    const int32_t* weights = filter.weights + i * filter.taps;
    for (int64_t k = 0; k < filter.taps; ++k) sum += pixels[k] * weights[k];
    output[i] = static_cast<uint8_t>(sum >> kPrecision);
  }
}

void ResizeColumns(const Image& pixels, const Filter& filter, ResizeScratch& scratch, int64_t width, Image& output) {
  output.Resize(pixels.height, width, pixels.channels);
  if (pixels.channels == 1) {
    for (int64_t y = 0; y < pixels.height; ++y) ResizeGreyRow(pixels.row(y), filter, width, output.row(y));
    return;
  }
  const int64_t last = pixels.height - 1;
  scratch.columns_of_rows.resize(static_cast<size_t>((pixels.width + width) * kNumbers));
  uint8_t* const columns = scratch.columns_of_rows.data();
  uint8_t* const result = columns + pixels.width * kNumbers;
  for (int64_t y = 0; y < pixels.height; y += kRowsAtOnce) {
    const uint8_t* rows[kRowsAtOnce];
    uint8_t* outputs[kRowsAtOnce];
    for (int64_t i = 0; i < kRowsAtOnce; ++i) {  // the last row may be computed several times
      rows[i] = pixels.row(std::min(y + i, last));
      outputs[i] = output.row(std::min(y + i, last));
    }
    Interleave(rows, pixels.width, columns);
    ResizeRgbRows(columns, filter, width, result);
    Separate(result, width, outputs);
  }
}

/// The weighted sum of `taps` rows that lie `stride` bytes apart.
LOCKSTEP_ISA_CLONES void SumRows(const uint8_t* rows, int64_t stride, const int32_t* weights, int64_t taps,
                                 int64_t count, uint8_t* output) {
  constexpr int64_t kBlock = 64;
  int32_t sums[kBlock];
  int64_t at = 0;
  for (; at + kBlock <= count; at += kBlock) {
    for (int64_t i = 0; i < kBlock; ++i) sums[i] = kHalf;
    for (int64_t k = 0; k < taps; ++k) {
      const uint8_t* row = rows + k * stride + at;
      for (int64_t i = 0; i < kBlock; ++i) sums[i] += row[i] * weights[k];
    }
    for (int64_t i = 0; i < kBlock; ++i) output[at + i] = static_cast<uint8_t>(sums[i] >> kPrecision);
  }
  for (; at < count; ++at) {
    int32_t sum = kHalf;
    for (int64_t k = 0; k < taps; ++k) sum += rows[k * stride + at] * weights[k];
    output[at] = static_cast<uint8_t>(sum >> kPrecision);
  }
}

void ResizeRows(const Image& pixels, const Filter& filter, int64_t height, Image& output) {
  output.Resize(height, pixels.width, pixels.channels);
  for (int64_t y = 0; y < height; ++y) {
    SumRows(pixels.row(filter.firsts[y]), pixels.row_bytes(), filter.weights + y * filter.taps, filter.taps,
            pixels.row_bytes(), output.row(y));
  }
}

}  // namespace

ImageRegion Resizing::Needed() const {
  const Axis rows = RowsOf(*this), columns = ColumnsOf(*this);
  const int64_t top = rows.whole() ? 0 : rows.First(0), left = columns.whole() ? 0 : columns.First(0);
  const int64_t bottom = rows.whole() ? picture_height : rows.End(height - 1);
  const int64_t right = columns.whole() ? picture_width : columns.End(width - 1);
  return {top, left, bottom - top, right - left};
}

void Resize(const Image& pixels, const Resizing& resizing, ResizeScratch& scratch, Image& output) {
  const ImageRegion needed = resizing.Needed();
  CHECK(pixels.height == needed.height && pixels.width == needed.width && &pixels != &output);
  CHECK(pixels.channels == 1 || pixels.channels == 3);
  const Axis rows = RowsOf(resizing), columns = ColumnsOf(resizing);
  if (rows.whole() && columns.whole()) {
    output = pixels;
  } else if (rows.whole()) {
    ResizeColumns(pixels, MakeFilter(columns, scratch), scratch, resizing.width, output);
  } else if (columns.whole()) {
    ResizeRows(pixels, MakeFilter(rows, scratch), resizing.height, output);
  } else {
    ResizeColumns(pixels, MakeFilter(columns, scratch), scratch, resizing.width, scratch.columns);
    ResizeRows(scratch.columns, MakeFilter(rows, scratch), resizing.height, output);
  }
}

void ResizeBox(const Image& picture, const ImageBox& box, int64_t height, int64_t width, ResizeScratch& scratch,
               Image& output) {
  const Resizing resizing{picture.height, picture.width, box, height, width};
  const ImageRegion region = resizing.Needed();
  scratch.needed.Resize(region.height, region.width, picture.channels);
  for (int64_t y = 0; y < region.height; ++y) {
    std::copy_n(picture.row(region.top + y) + region.left * picture.channels, scratch.needed.row_bytes(),
                scratch.needed.row(y));
  }
  Resize(scratch.needed, resizing, scratch, output);
}

}  // namespace lockstep::data
