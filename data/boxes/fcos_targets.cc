#include "data/boxes/fcos_targets.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace lockstep::data {
namespace {

float AreaOf(const PlacedBox& box) { return (box.right - box.left) * (box.bottom - box.top); }

/// The sides of a box as seen from a point, in pixels.
struct Sides {
  float left, top, right, bottom;

  Sides(const PlacedBox& box, float x, float y)
      : left(x - box.left), top(y - box.top), right(box.right - x), bottom(box.bottom - y) {}

  float nearest() const { return std::min({left, top, right, bottom}); }
  float farthest() const { return std::max({left, top, right, bottom}); }
  float centerness() const {
    return std::sqrt(std::min(left, right) / std::max(left, right) * (std::min(top, bottom) / std::max(top, bottom)));
  }
};

/// Calls visit(cell, box, sides, size of a cell) for the cells that are inside, with the box that counts there.
template <typename Visit>
void ForEachInside(std::span<const PlacedBox> boxes, std::span<const FcosMap> maps, const Visit& visit) {
  constexpr float kRadius = 1.5f, kNearest = 4, kFarthest = 8;
  for (const FcosMap& map : maps) {
    const auto size = static_cast<float>(map.size);
    const float least = &map == &maps.front() ? 0 : kNearest * size;
    const float most = &map == &maps.back() ? std::numeric_limits<float>::infinity() : kFarthest * size;
    for (int64_t cell = 0; cell < map.cells(); ++cell) {
      const int64_t row = cell / map.width, column = cell % map.width;
      const auto x = static_cast<float>(column * map.across), y = static_cast<float>(row * map.down);
      const PlacedBox* smallest = nullptr;
      for (const PlacedBox& box : boxes) {
        const float away = std::max(std::abs(x - (box.left + box.right) / 2), std::abs(y - (box.top + box.bottom) / 2));
        const Sides sides(box, x, y);
        const bool takes =
            away < kRadius * size && sides.nearest() > 0 && sides.farthest() > least && sides.farthest() < most;
        if (takes && (smallest == nullptr || AreaOf(box) < AreaOf(*smallest))) smallest = &box;
      }
      if (smallest != nullptr) visit(map.first + cell, *smallest, Sides(*smallest, x, y), size);
    }
  }
}

}  // namespace

std::array<FcosMap, 5> FcosMapsOf(int64_t height, int64_t width) {
  std::array<FcosMap, 5> maps;
  int64_t size = 8, first = 0;
  for (FcosMap& map : maps) {
    map = {.height = (height + size - 1) / size, .width = (width + size - 1) / size, .size = size, .first = first};
    map.down = height / map.height;
    map.across = width / map.width;
    first += map.cells();
    size *= 2;
  }
  return maps;
}

int64_t CellsOf(std::span<const FcosMap> maps) { return maps.back().first + maps.back().cells(); }

void FillFcosTargets(std::span<const PlacedBox> boxes, std::span<const FcosMap> maps, const FcosRows& rows) {
  const int64_t cells = CellsOf(maps);
  std::fill_n(rows.category, cells, -1);
  std::fill_n(rows.sides, cells * 4, 1.0f);
  std::fill_n(rows.centerness, cells, 0.0f);
  std::fill_n(rows.inside, cells, 0.0f);
  ForEachInside(boxes, maps, [&](int64_t cell, const PlacedBox& box, const Sides& sides, float size) {
    rows.category[cell] = box.category;
    const float of_cell[4] = {sides.left / size, sides.top / size, sides.right / size, sides.bottom / size};
    std::copy_n(of_cell, 4, rows.sides + cell * 4);
    rows.centerness[cell] = sides.centerness();
    rows.inside[cell] = 1;
  });
}

LossCounts CountFcosTargets(std::span<const PlacedBox> boxes, std::span<const FcosMap> maps) {
  uint64_t inside = 0;
  ForEachInside(boxes, maps, [&](int64_t, const PlacedBox&, const Sides&, float) { ++inside; });
  return {inside, inside, inside, 0};
}

}  // namespace lockstep::data
