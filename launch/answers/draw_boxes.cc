#include "launch/answers/draw_boxes.h"

#include <algorithm>
#include <cctype>
#include <cmath>

#include "base/error.h"

namespace lockstep::launch {
namespace {

using Color = std::array<uint8_t, 3>;

constexpr int64_t kGlyphWidth = 5, kGlyphHeight = 7;

/// A character's rows from the top; the leftmost of five pixels is the highest bit.
struct Glyph {
  char character;
  std::array<uint8_t, kGlyphHeight> rows;
};

constexpr Glyph kGlyphs[] = {
    {'A', {0x0e, 0x11, 0x11, 0x1f, 0x11, 0x11, 0x11}}, {'B', {0x1e, 0x11, 0x11, 0x1e, 0x11, 0x11, 0x1e}},
    {'C', {0x0e, 0x11, 0x10, 0x10, 0x10, 0x11, 0x0e}}, {'D', {0x1c, 0x12, 0x11, 0x11, 0x11, 0x12, 0x1c}},
    {'E', {0x1f, 0x10, 0x10, 0x1e, 0x10, 0x10, 0x1f}}, {'F', {0x1f, 0x10, 0x10, 0x1e, 0x10, 0x10, 0x10}},
    {'G', {0x0e, 0x11, 0x10, 0x17, 0x11, 0x11, 0x0f}}, {'H', {0x11, 0x11, 0x11, 0x1f, 0x11, 0x11, 0x11}},
    {'I', {0x0e, 0x04, 0x04, 0x04, 0x04, 0x04, 0x0e}}, {'J', {0x07, 0x02, 0x02, 0x02, 0x02, 0x12, 0x0c}},
    {'K', {0x11, 0x12, 0x14, 0x18, 0x14, 0x12, 0x11}}, {'L', {0x10, 0x10, 0x10, 0x10, 0x10, 0x10, 0x1f}},
    {'M', {0x11, 0x1b, 0x15, 0x15, 0x11, 0x11, 0x11}}, {'N', {0x11, 0x19, 0x15, 0x13, 0x11, 0x11, 0x11}},
    {'O', {0x0e, 0x11, 0x11, 0x11, 0x11, 0x11, 0x0e}}, {'P', {0x1e, 0x11, 0x11, 0x1e, 0x10, 0x10, 0x10}},
    {'Q', {0x0e, 0x11, 0x11, 0x11, 0x15, 0x12, 0x0d}}, {'R', {0x1e, 0x11, 0x11, 0x1e, 0x14, 0x12, 0x11}},
    {'S', {0x0f, 0x10, 0x10, 0x0e, 0x01, 0x01, 0x1e}}, {'T', {0x1f, 0x04, 0x04, 0x04, 0x04, 0x04, 0x04}},
    {'U', {0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x0e}}, {'V', {0x11, 0x11, 0x11, 0x11, 0x11, 0x0a, 0x04}},
    {'W', {0x11, 0x11, 0x11, 0x15, 0x15, 0x1b, 0x11}}, {'X', {0x11, 0x11, 0x0a, 0x04, 0x0a, 0x11, 0x11}},
    {'Y', {0x11, 0x11, 0x0a, 0x04, 0x04, 0x04, 0x04}}, {'Z', {0x1f, 0x01, 0x02, 0x04, 0x08, 0x10, 0x1f}},
    {'0', {0x0e, 0x11, 0x13, 0x15, 0x19, 0x11, 0x0e}}, {'1', {0x04, 0x0c, 0x04, 0x04, 0x04, 0x04, 0x0e}},
    {'2', {0x0e, 0x11, 0x01, 0x06, 0x08, 0x10, 0x1f}}, {'3', {0x1e, 0x01, 0x01, 0x0e, 0x01, 0x01, 0x1e}},
    {'4', {0x02, 0x06, 0x0a, 0x12, 0x1f, 0x02, 0x02}}, {'5', {0x1f, 0x10, 0x1e, 0x01, 0x01, 0x11, 0x0e}},
    {'6', {0x0e, 0x10, 0x10, 0x1e, 0x11, 0x11, 0x0e}}, {'7', {0x1f, 0x01, 0x02, 0x04, 0x08, 0x08, 0x08}},
    {'8', {0x0e, 0x11, 0x11, 0x0e, 0x11, 0x11, 0x0e}}, {'9', {0x0e, 0x11, 0x11, 0x0f, 0x01, 0x01, 0x0e}},
    {'.', {0x00, 0x00, 0x00, 0x00, 0x00, 0x0c, 0x0c}}, {'-', {0x00, 0x00, 0x00, 0x1f, 0x00, 0x00, 0x00}},
    {'_', {0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x1f}}, {'/', {0x01, 0x01, 0x02, 0x04, 0x08, 0x10, 0x10}},
};

class Canvas {
 public:
  explicit Canvas(data::Image& picture) : picture_(picture) {}

  /// Pixels [left, right) x [top, bottom), as far as they lie in the picture.
  void Fill(int64_t left, int64_t top, int64_t right, int64_t bottom, const Color& color) {
    left = std::max<int64_t>(left, 0);
    right = std::min(right, picture_.width);
    for (int64_t y = std::max<int64_t>(top, 0); y < std::min(bottom, picture_.height); ++y)
      for (int64_t x = left; x < right; ++x) std::copy(color.begin(), color.end(), picture_.row(y) + x * 3);
  }

  /// Each pixel of a glyph is `scale` pixels wide and high.
  void Write(const std::string& text, int64_t left, int64_t top, int64_t scale, const Color& color) {
    for (const char letter : text) {
      const char capital = static_cast<char>(std::toupper(static_cast<unsigned char>(letter)));
      for (const Glyph& glyph : kGlyphs) {
        if (glyph.character != capital) continue;
        for (int64_t row = 0; row < kGlyphHeight; ++row)
          for (int64_t column = 0; column < kGlyphWidth; ++column)
            if ((glyph.rows[static_cast<size_t>(row)] >> (kGlyphWidth - 1 - column) & 1) != 0)
              Fill(left + column * scale, top + row * scale, left + (column + 1) * scale, top + (row + 1) * scale,
                   color);
      }
      left += (kGlyphWidth + 1) * scale;
    }
  }

 private:
  data::Image& picture_;
};

}  // namespace

std::array<uint8_t, 3> BoxColor(int32_t category) {
  static constexpr Color kColors[] = {{230, 60, 50},  {40, 120, 220}, {30, 160, 70},  {240, 160, 20},
                                      {150, 70, 190}, {20, 170, 180}, {200, 80, 140}, {120, 120, 30},
                                      {90, 90, 230},  {160, 100, 60}, {100, 180, 40}, {110, 110, 110}};
  return kColors[static_cast<size_t>(category) % std::size(kColors)];
}

void DrawBoxes(std::span<const DrawnBox> boxes, data::Image& picture) {
  constexpr int64_t kPixelsALine = 400;
  constexpr Color kWhite = {255, 255, 255};
  CHECK(picture.channels == 3);
  Canvas canvas(picture);
  const int64_t line = std::max<int64_t>(2, std::max(picture.height, picture.width) / kPixelsALine);
  const int64_t scale = std::max<int64_t>(1, line / 2);
  for (const DrawnBox& box : boxes) {
    const auto left = static_cast<int64_t>(std::lround(box.x)), top = static_cast<int64_t>(std::lround(box.y));
    const auto right = static_cast<int64_t>(std::lround(box.x + box.width));
    const auto bottom = static_cast<int64_t>(std::lround(box.y + box.height));
    canvas.Fill(left, top, right, top + line, box.color);
    canvas.Fill(left, bottom - line, right, bottom, box.color);
    canvas.Fill(left, top, left + line, bottom, box.color);
    canvas.Fill(right - line, top, right, bottom, box.color);
    if (box.label.empty()) continue;
    const int64_t height = (kGlyphHeight + 2) * scale;
    const auto letters = static_cast<int64_t>(box.label.size());
    const int64_t width = (letters * (kGlyphWidth + 1) + 1) * scale;
    const int64_t from = std::clamp<int64_t>(left, 0, std::max<int64_t>(picture.width - width, 0));
    const int64_t over = top >= height ? top - height : top;
    canvas.Fill(from, over, from + width, over + height, box.color);
    canvas.Write(box.label, from + scale, over + scale, scale, kWhite);
  }
}

}  // namespace lockstep::launch
