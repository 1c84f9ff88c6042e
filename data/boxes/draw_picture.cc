#include "data/boxes/draw_picture.h"

#include <algorithm>
#include <cmath>

namespace lockstep::data {
namespace {

/// Between which two of the picture's pixels one of the output lies, and how far from the first; an index outside of
/// the picture is -1.
struct Between {
  int64_t first = -1, second = -1;
  float weight = 0;  ///< of the second
};

/// Of output pixels [begin, end) along one axis, whose map leads from the picture as the file has it; `from` to `to` of
/// it are `count` pixels.
std::vector<Between> Neighbours(const AxisMap& map, double from, double to, int64_t count, int64_t begin, int64_t end) {
  const double per_pixel = static_cast<double>(count) / (to - from);
  std::vector<Between> neighbours;
  for (int64_t i = begin; i < end; ++i) {
    const double at = (map.From(static_cast<double>(i) + 0.5) - from) * per_pixel - 0.5;
    const double below = std::floor(at);
    const auto first = static_cast<int64_t>(std::clamp(below, -2.0, static_cast<double>(count)));
    const auto inside = [&](int64_t index) { return index >= 0 && index < count ? index : -1; };
    neighbours.push_back({inside(first), inside(first + 1), static_cast<float>(at - below)});
  }
  return neighbours;
}

/// The pixels of [0, count) whose middle lies in [from, to).
std::pair<int64_t, int64_t> PixelsIn(double from, double to, int64_t count) {
  const auto first = [&](double edge) {
    return std::clamp<int64_t>(static_cast<int64_t>(std::ceil(edge - 0.5)), 0, count);
  };
  return {first(from), std::max(first(from), first(to))};
}

void Look(const Image& pixels, std::span<const float> table, std::vector<float>& values) {
  values.resize(pixels.pixels.size());
  const auto channels = static_cast<size_t>(pixels.channels);
  for (size_t i = 0; i < values.size(); i += channels)
    for (size_t c = 0; c < channels; ++c) values[i + c] = table[c * 256 + pixels.pixels[i + c]];
}

/// row = (1 - weight) a + weight b; of a row that is not there 0.
void Mix(const float* a, const float* b, float weight, std::vector<float>& row) {
  const float rest = 1 - weight;
  for (size_t i = 0; i < row.size(); ++i)
    row[i] = (a != nullptr ? rest * a[i] : 0.0f) + (b != nullptr ? weight * b[i] : 0.0f);
}

}  // namespace

void DrawPicture(const Image& pixels, const Tile& tile, std::span<const float> table, int64_t height, int64_t width,
                 DrawScratch& scratch, float* output) {
  const auto [top, bottom] = PixelsIn(tile.seen.top, tile.seen.bottom, height);
  const auto [left, right] = PixelsIn(tile.seen.left, tile.seen.right, width);
  const ImageBox& box = tile.placing.box;
  const std::vector<Between> rows = Neighbours(tile.map.y, box.top, box.bottom, pixels.height, top, bottom);
  const std::vector<Between> columns = Neighbours(tile.map.x, box.left, box.right, pixels.width, left, right);
  Look(pixels, table, scratch.values);
  const int64_t channels = pixels.channels, row_values = pixels.width * channels;
  scratch.row.resize(static_cast<size_t>(row_values));
  const auto row_at = [&](int64_t y) { return y < 0 ? nullptr : scratch.values.data() + y * row_values; };
  for (int64_t y = top; y < bottom; ++y) {
    const Between& between = rows[static_cast<size_t>(y - top)];
    Mix(row_at(between.first), row_at(between.second), between.weight, scratch.row);
    float* to = output + (y * width + left) * channels;
    for (const Between& column : columns) {
      const float rest = 1 - column.weight;
      for (int64_t c = 0; c < channels; ++c, ++to) {
        const float a = column.first < 0 ? 0.0f : scratch.row[static_cast<size_t>(column.first * channels + c)];
        const float b = column.second < 0 ? 0.0f : scratch.row[static_cast<size_t>(column.second * channels + c)];
        *to = rest * a + column.weight * b;
      }
    }
  }
}

}  // namespace lockstep::data
