// The gradient of a batch norm over [rows, channels]: a reduction over the rows, then a map with coefficients per
// channel (blocks/columns.h). A relu that is fused into the norm is taken back on the way.
#pragma once

#include <cstdint>

#include "trainer/kernels/cuda/blocks/columns.h"

namespace lockstep::cuda::batch_norm {

/// What x's distance to the mean is multiplied by. From what both the norm and its gradient have, so that what the
/// gradient works out of x again has the norm's bits.
LOCKSTEP_HD float ScaleOf(float inv_std, float weight) {
  return static_cast<float>(static_cast<double>(inv_std) * static_cast<double>(weight));
}
LOCKSTEP_HD float Scaled(float x, float mean, float scale, float bias) { return (x - mean) * scale + bias; }

/// Where a fused relu let something through: where y, or what x becomes by scale and bias, is above 0.
enum class Mask : uint8_t { kNone, kOfResult, kOfInput };

/// What the gradients read of a matrix, from some column on: y is there for Mask::kOfResult alone.
template <typename T>
struct GradInputs {
  const T *dy, *x, *y;
  const float *mean, *inv_std, *weight, *bias;
  int64_t channels;
};

/// Of kPack columns: what Mask::kOfInput needs, and the mean.
template <int kPack>
struct ColumnValues {
  float mean[kPack], scale[kPack], bias[kPack];

  template <Mask kMask, typename T>
  static LOCKSTEP_HD ColumnValues At(const GradInputs<T>& from, int64_t column) {
    ColumnValues values;
    LoadPack<kPack>(from.mean + column, values.mean);
    if constexpr (kMask == Mask::kOfInput) {
      float inv_std[kPack], weight[kPack];
      LoadPack<kPack>(from.inv_std + column, inv_std);
      LoadPack<kPack>(from.weight + column, weight);
      LoadPack<kPack>(from.bias + column, values.bias);
      LOCKSTEP_UNROLL
      for (int i = 0; i < kPack; ++i) values.scale[i] = ScaleOf(inv_std[i], weight[i]);
    }
    return values;
  }
};

/// dy and x of some rows and columns, with dy taken back through the fused relu: all is read before anything is
/// written.
template <typename T, Mask kMask, int kPack, int kRows>
struct GradRows {
  float dy[kRows][kPack], x[kRows][kPack];

  LOCKSTEP_HD GradRows(const GradInputs<T>& from, const ColumnValues<kPack>& columns, int64_t column, int64_t row,
                       int64_t step) {
    float y[kRows][kPack];
    LOCKSTEP_UNROLL
    for (int r = 0; r < kRows; ++r) {
      const int64_t at = (row + r * step) * from.channels + column;
      LoadPack<kPack>(from.dy + at, dy[r]);
      LoadPack<kPack>(from.x + at, x[r]);
      if constexpr (kMask == Mask::kOfResult) LoadPack<kPack>(from.y + at, y[r]);
    }
    if constexpr (kMask != Mask::kNone) {
      LOCKSTEP_UNROLL
      for (int r = 0; r < kRows; ++r) {
        LOCKSTEP_UNROLL
        for (int i = 0; i < kPack; ++i) {
          if constexpr (kMask == Mask::kOfInput)
            y[r][i] = Scaled(x[r][i], columns.mean[i], columns.scale[i], columns.bias[i]);
          dy[r][i] = y[r][i] > 0.0f ? dy[r][i] : 0.0f;
        }
      }
    }
  }
};

/// The sums of dy and of dy (x - mean), and what follows from them.
template <typename T, Mask kMask>
struct GradSums {
  static constexpr int kValues = 2;

  GradInputs<T> inputs;
  int64_t rows;
  float *dweight, *dbias;  ///< absent: nullptr
  float *scale, *shift, *slope;

  template <int kPack>
  struct Reader {
    GradInputs<T> inputs;
    ColumnValues<kPack> columns;
    int64_t column;

    template <int kRows>
    LOCKSTEP_HD void Add(int64_t row, int step, float /*seen*/, float (&values)[2][kPack]) const {
      const GradRows<T, kMask, kPack, kRows> read(inputs, columns, column, row, step);
      LOCKSTEP_UNROLL
      for (int r = 0; r < kRows; ++r) {
        LOCKSTEP_UNROLL
        for (int i = 0; i < kPack; ++i) {
          values[0][i] += read.dy[r][i];
          values[1][i] += read.dy[r][i] * (read.x[r][i] - columns.mean[i]);
        }
      }
    }
  };
  template <int kPack>
  LOCKSTEP_HD Reader<kPack> At(int64_t column) const {
    return {inputs, ColumnValues<kPack>::template At<kMask>(inputs, column), column};
  }
  template <typename S>
  static LOCKSTEP_HD void Combine(S* values, const S* others, S, S) {
    AddValues<2>(values, others);
  }
  LOCKSTEP_HD void Finish(int64_t c, const double* values) const {
    const auto n = static_cast<double>(rows), inverse = static_cast<double>(inputs.inv_std[c]);
    if (dbias != nullptr) dbias[c] = static_cast<float>(values[0]);
    if (dweight != nullptr) dweight[c] = static_cast<float>(values[1] * inverse);
    scale[c] = ScaleOf(inputs.inv_std[c], inputs.weight[c]);
    shift[c] = static_cast<float>(values[0] / n);
    slope[c] = static_cast<float>(values[1] * inverse * inverse / n);
  }
};

/// Likewise by g, which is dy + other where the relu let something through: stored on the way, and summed as it is
/// before it is rounded.
template <typename T, Mask kMask>
struct AddedGradSums : GradSums<T, kMask> {
  const T* other;  ///< absent: nullptr
  T* g;

  template <int kPack>
  struct Reader {
    GradInputs<T> inputs;
    const T* other;
    T* g;
    ColumnValues<kPack> columns;
    int64_t column;

    /// Packs stay packed until their row's turn comes: four rows of four matrices would fill the registers as floats.
    template <int kRows>
    LOCKSTEP_HD void Add(int64_t row, int step, float /*seen*/, float (&values)[2][kPack]) const {
      Pack<T, kPack> dy[kRows], others[kRows] = {}, x[kRows], y[kRows];
      LOCKSTEP_UNROLL
      for (int r = 0; r < kRows; ++r) {
        const int64_t at = (row + int64_t{r} * step) * inputs.channels + column;
        dy[r] = ReadPack<kPack>(inputs.dy + at);
        if (other != nullptr) others[r] = ReadPack<kPack>(other + at);
        x[r] = ReadPack<kPack>(inputs.x + at);
        if constexpr (kMask == Mask::kOfResult) y[r] = ReadPack<kPack>(inputs.y + at);
      }
      LOCKSTEP_UNROLL
      for (int r = 0; r < kRows; ++r) {
        float distance[kPack], sum[kPack], more[kPack], result[kPack];
        Unpack(x[r], distance);
        Unpack(dy[r], sum);
        Unpack(others[r], more);
        if constexpr (kMask == Mask::kOfResult) Unpack(y[r], result);
        LOCKSTEP_UNROLL
        for (int i = 0; i < kPack; ++i) {
          distance[i] -= columns.mean[i];
          if (other != nullptr) sum[i] += more[i];
          if constexpr (kMask == Mask::kOfInput) result[i] = distance[i] * columns.scale[i] + columns.bias[i];
          if constexpr (kMask != Mask::kNone) sum[i] = result[i] > 0.0f ? sum[i] : 0.0f;
        }
        StorePack<kPack>(sum, g + (row + int64_t{r} * step) * inputs.channels + column);
        LOCKSTEP_UNROLL
        for (int i = 0; i < kPack; ++i) {
          values[0][i] += sum[i];
          values[1][i] += sum[i] * distance[i];
        }
      }
    }
  };
  template <int kPack>
  LOCKSTEP_HD Reader<kPack> At(int64_t column) const {
    return {this->inputs, other, g, ColumnValues<kPack>::template At<kMask>(this->inputs, column), column};
  }
};

/// dx = scale (dy - shift - (x - mean) slope). dx may lie over dy.
template <typename T, Mask kMask>
struct InputGrad {
  GradInputs<T> inputs;
  T* dx;
  const float *scale, *shift, *slope;

  template <int kPack>
  struct Writer {
    GradInputs<T> inputs;
    T* dx;
    ColumnValues<kPack> columns;
    int64_t column;
    float scale[kPack], shift[kPack], slope[kPack];

    template <int kRows>
    LOCKSTEP_HD void Apply(int64_t row, int step) const {
      const GradRows<T, kMask, kPack, kRows> read(inputs, columns, column, row, step);
      LOCKSTEP_UNROLL
      for (int r = 0; r < kRows; ++r) {
        float v[kPack];
        LOCKSTEP_UNROLL
        for (int i = 0; i < kPack; ++i) {
          v[i] = scale[i] * (read.dy[r][i] - shift[i] - (read.x[r][i] - columns.mean[i]) * slope[i]);
        }
        StorePack<kPack>(v, dx + (row + int64_t{r} * step) * inputs.channels + column);
      }
    }
  };
  template <int kPack>
  LOCKSTEP_HD Writer<kPack> At(int64_t column) const {
    Writer<kPack> writer;
    writer.inputs = inputs;
    writer.dx = dx;
    writer.columns = ColumnValues<kPack>::template At<kMask>(inputs, column);
    writer.column = column;
    LoadPack<kPack>(scale + column, writer.scale);
    LoadPack<kPack>(shift + column, writer.shift);
    LoadPack<kPack>(slope + column, writer.slope);
    return writer;
  }
};

}  // namespace lockstep::cuda::batch_norm
