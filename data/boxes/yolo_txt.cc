#include "data/boxes/yolo_txt.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <string_view>

#include "base/error.h"
#include "data/boxes/box_checks.h"
#include "data/utf8.h"

namespace lockstep::data {
namespace {

constexpr char kLine[] = "a line is CATEGORY X Y WIDTH HEIGHT, of which the last four are fractions of the picture";

/// The next word of the line, which is cut off from it; empty where there is none.
std::string_view NextWord(std::string_view& line) {
  constexpr std::string_view kBlanks = " \t\r";
  const size_t begin = line.find_first_not_of(kBlanks);
  if (begin == std::string_view::npos) return {};
  line.remove_prefix(begin);
  const std::string_view word = line.substr(0, line.find_first_of(kBlanks));
  line.remove_prefix(word.size());
  return word;
}

/// The numbers of one line.
std::vector<double> Numbers(std::string_view line, const Origin& origin, uint64_t number) {
  std::vector<double> numbers;
  for (std::string_view word = NextWord(line); !word.empty(); word = NextWord(line)) {
    double value = 0;
    const auto [end, failed] = std::from_chars(word.data(), word.data() + word.size(), value);
    if (failed != std::errc() || end != word.data() + word.size() || !std::isfinite(value))
      throw origin.Bad(fmt::format("\"{:.40}\" is no number", word), kLine, fmt::format("{}", number));
    numbers.push_back(value);
  }
  return numbers;
}

/// Puts the box around the polygon's corners.
void Surround(std::span<const double> corners, YoloBox& box) {
  double left = corners[0], right = left, top = corners[1], bottom = top;
  for (size_t i = 0; i < corners.size(); i += 2) {
    left = std::min(left, corners[i]);
    right = std::max(right, corners[i]);
    top = std::min(top, corners[i + 1]);
    bottom = std::max(bottom, corners[i + 1]);
  }
  box.width = right - left;
  box.height = bottom - top;
  box.x = left + box.width / 2;
  box.y = top + box.height / 2;
}

YoloBox MakeBox(std::span<const double> numbers, const Origin& origin, uint64_t line) {
  constexpr size_t kBox = 5, kTriangle = 7;
  const auto bad = [&](std::string message) { return origin.Bad(std::move(message), kLine, fmt::format("{}", line)); };
  if (numbers.size() == kBox + 1) throw bad("there are 6 numbers, as in detections with a confidence");
  if (numbers.size() != kBox && (numbers.size() < kTriangle || numbers.size() % 2 == 0))
    throw bad(fmt::format("there are {} numbers: no box and no polygon", numbers.size()));
  YoloBox box;
  box.line = line;
  constexpr double kMost = 1e6;
  if (!(numbers[0] >= 0 && numbers[0] <= kMost && numbers[0] == std::floor(numbers[0])))
    throw bad(fmt::format("{} is no category's number", numbers[0]));
  box.category = static_cast<int32_t>(numbers[0]);
  if (numbers.size() == kBox) {
    box.x = numbers[1];
    box.y = numbers[2];
    box.width = numbers[3];
    box.height = numbers[4];
  } else {
    Surround(numbers.subspan(1), box);
  }
  return box;
}

/// The double nearest to a number of hundredths, as if that had been written down as a decimal.
double RoundToHundredth(double pixels) { return std::round(pixels * 100) / 100; }

BoxAnnotation ToPixels(const YoloBox& box, const YoloImage& image) {
  const auto width = static_cast<double>(image.width), height = static_cast<double>(image.height);
  BoxAnnotation result;
  result.x = RoundToHundredth((box.x - box.width / 2) * width);
  result.y = RoundToHundredth((box.y - box.height / 2) * height);
  result.width = RoundToHundredth(box.width * width);
  result.height = RoundToHundredth(box.height * height);
  result.category = box.category;
  result.area = result.width * result.height;
  return result;
}

}  // namespace

std::vector<YoloBox> ReadYoloTxt(std::span<const std::byte> text, const Origin& origin) {
  std::string_view rest = WithoutByteOrderMark(text);
  std::vector<YoloBox> boxes;
  for (uint64_t line = 1; !rest.empty(); ++line) {
    const size_t end = rest.find('\n');
    const std::vector<double> numbers = Numbers(rest.substr(0, end), origin, line);
    if (!numbers.empty()) boxes.push_back(MakeBox(numbers, origin, line));
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
  }
  return boxes;
}

BoxData MakeYoloData(const std::vector<std::string>& names, const std::vector<YoloImage>& images) {
  BoxData data;
  data.categories = names;
  for (size_t i = 0; i < names.size(); ++i) data.category_ids.push_back(static_cast<int64_t>(i));
  CornerCheck corners;
  for (const YoloImage& from : images) {
    CHECK(from.width > 0 && from.height > 0, "{} is {}x{}", from.file, from.width, from.height);
    AnnotatedImage image{from.file, from.width, from.height, static_cast<int64_t>(data.images.size()), {}};
    for (const YoloBox& box : from.boxes) {
      const std::string place = fmt::format("{}:{}", from.path, box.line);
      if (box.category >= static_cast<int64_t>(names.size())) {
        data.problems.Add(BoxProblem::kUnknownCategory, fmt::format("{}, category {}", place, box.category));
        continue;
      }
      const bool outside = AddBox(ToPixels(box, from), place, image, data.problems);
      corners.Add(box.x, box.y, box.width, box.height, outside, place);
    }
    data.images.push_back(std::move(image));
  }
  CheckFiles(data.images, data.problems);
  corners.Tell(data.problems);
  return data;
}

}  // namespace lockstep::data
