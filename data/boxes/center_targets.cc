#include "data/boxes/center_targets.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

namespace lockstep::data {
namespace {

/// A box in cells.
struct CellBox {
  double left, top, right, bottom;
  int64_t row, column;  ///< of its centre
  int32_t category;

  CellBox(const PlacedBox& box, const CellGrid& grid) : category(box.category) {
    const auto stride = static_cast<float>(grid.stride);
    left = box.left / stride;
    top = box.top / stride;
    right = box.right / stride;
    bottom = box.bottom / stride;
    column = std::clamp<int64_t>(static_cast<int64_t>((left + right) / 2), 0, grid.width - 1);
    row = std::clamp<int64_t>(static_cast<int64_t>((top + bottom) / 2), 0, grid.height - 1);
  }
};

/// Calls visit(row, column, sides) for the cells that are inside.
template <typename Visit>
void ForEachInside(const CellBox& box, const CellGrid& grid, const Visit& visit) {
  for (int64_t row = std::max<int64_t>(box.row - 1, 0); row <= std::min(box.row + 1, grid.height - 1); ++row) {
    for (int64_t column = std::max<int64_t>(box.column - 1, 0); column <= std::min(box.column + 1, grid.width - 1);
         ++column) {
      const double x = static_cast<double>(column) + 0.5, y = static_cast<double>(row) + 0.5;
      const double sides[4] = {x - box.left, y - box.top, box.right - x, box.bottom - y};
      if (*std::min_element(std::begin(sides), std::end(sides)) > 0) visit(row, column, sides);
    }
  }
}

/// Raises heat around the centre. Cells that are more than ten deviations away are left out: exp(-50) of a float
/// between 0 and 1 is nothing.
void RaiseHeat(const CellBox& box, const CellGrid& grid, float* heat) {
  constexpr double kPerSide = 6, kReach = 10;
  const double across = kPerSide / (box.right - box.left), down = kPerSide / (box.bottom - box.top);
  const auto reach = [&](int64_t center, double by, int64_t cells) {
    const auto far = static_cast<int64_t>(std::min(kReach / by, static_cast<double>(cells)));
    return std::pair{std::max<int64_t>(center - far, 0), std::min(center + far, cells - 1)};
  };
  const auto [first_row, last_row] = reach(box.row, down, grid.height);
  const auto [first_column, last_column] = reach(box.column, across, grid.width);
  for (int64_t row = first_row; row <= last_row; ++row) {
    const double y = static_cast<double>(row - box.row) * down;
    for (int64_t column = first_column; column <= last_column; ++column) {
      const double x = static_cast<double>(column - box.column) * across;
      float& cell = heat[(row * grid.width + column) * grid.categories + box.category];
      cell = std::max(cell, static_cast<float>(std::exp(-0.5 * (x * x + y * y))));
    }
  }
}

/// The larger ones first.
std::vector<CellBox> Sorted(std::span<const PlacedBox> boxes, const CellGrid& grid) {
  std::vector<size_t> order(boxes.size());
  std::iota(order.begin(), order.end(), size_t{0});
  const auto area = [&](size_t i) { return (boxes[i].right - boxes[i].left) * (boxes[i].bottom - boxes[i].top); };
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return area(a) > area(b); });
  std::vector<CellBox> sorted;
  for (const size_t i : order) sorted.emplace_back(boxes[i], grid);
  return sorted;
}

uint64_t CountDifferent(std::vector<int64_t>& values) {
  std::sort(values.begin(), values.end());
  return static_cast<uint64_t>(std::unique(values.begin(), values.end()) - values.begin());
}

}  // namespace

CellGrid CellGrid::Of(int64_t height, int64_t width, int64_t stride, int64_t categories) {
  return {(height + stride - 1) / stride, (width + stride - 1) / stride, stride, categories};
}

void FillCenterTargets(std::span<const PlacedBox> boxes, const CellGrid& grid, const CenterRows& rows) {
  const int64_t cells = grid.height * grid.width;
  std::fill_n(rows.heat, cells * grid.categories, 0.0f);
  std::fill_n(rows.sides, cells * 4, 1.0f);
  std::fill_n(rows.inside, cells, 0.0f);
  for (const CellBox& box : Sorted(boxes, grid)) {
    RaiseHeat(box, grid, rows.heat);
    ForEachInside(box, grid, [&](int64_t row, int64_t column, const double* sides) {
      const int64_t cell = row * grid.width + column;
      rows.inside[cell] = 1;
      for (int side = 0; side < 4; ++side) rows.sides[cell * 4 + side] = static_cast<float>(sides[side]);
    });
  }
}

LossCounts CountCenterTargets(std::span<const PlacedBox> boxes, const CellGrid& grid) {
  std::vector<int64_t> centers, inside;
  for (const PlacedBox& placed : boxes) {
    const CellBox box(placed, grid);
    centers.push_back((box.row * grid.width + box.column) * grid.categories + box.category);
    ForEachInside(box, grid,
                  [&](int64_t row, int64_t column, const double*) { inside.push_back(row * grid.width + column); });
  }
  return {CountDifferent(centers), CountDifferent(inside), 0, 0};
}

}  // namespace lockstep::data
