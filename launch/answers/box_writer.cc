#include "launch/answers/box_writer.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <filesystem>
#include <utility>

#include "base/json_fields.h"
#include "launch/answers/answer_writer.h"

namespace lockstep::launch {
namespace {

/// Hundredths of a pixel, and ten thousandths of a score, are all that anybody reads.
double Rounded(double value, double parts) { return std::round(value * parts) / parts; }
double Pixels(double value) { return Rounded(value, 100); }
double Score(double value) { return Rounded(value, 10000); }

Json CocoName(const std::string& picture) {
  const std::filesystem::path path(picture);
  const std::string stem = path.stem().string();
  int64_t number = 0;
  const auto [end, error] = std::from_chars(stem.data(), stem.data() + stem.size(), number);
  if (error == std::errc() && end == stem.data() + stem.size()) return number;
  return path.filename().string();
}

}  // namespace

BoxWriter::BoxWriter(BoxFormat format, std::vector<std::string> classes)
    : format_(format), classes_(std::move(classes)) {}

std::string BoxWriter::Heading() const {
  if (format_ == BoxFormat::kCsv) return "picture,class,score,x,y,width,height\n";
  return format_ == BoxFormat::kCoco ? "[" : "";
}

std::string BoxWriter::End() const { return format_ == BoxFormat::kCoco ? "]\n" : ""; }

std::string BoxWriter::CocoLines(const std::string& picture, std::span<const metrics::Detection> boxes) {
  std::string text;
  for (const metrics::Detection& found : boxes) {
    const Json entry = {
        {"image_id", CocoName(picture)},
        {"category_id", found.category + 1},
        {"bbox", {Pixels(found.box.x), Pixels(found.box.y), Pixels(found.box.width), Pixels(found.box.height)}},
        {"score", Score(found.score)}};
    text += fmt::format("{}{}", std::exchange(first_, false) ? "" : ",\n ", DumpJson(entry));
  }
  return text;
}

std::string BoxWriter::JsonLine(const std::string& picture, std::span<const metrics::Detection> boxes) const {
  Json list = Json::array();
  for (const metrics::Detection& found : boxes)
    list.push_back({{"class", classes_[static_cast<size_t>(found.category)]},
                    {"score", Score(found.score)},
                    {"x", Pixels(found.box.x)},
                    {"y", Pixels(found.box.y)},
                    {"width", Pixels(found.box.width)},
                    {"height", Pixels(found.box.height)}});
  return DumpJson(Json{{"picture", picture}, {"boxes", list}}) + "\n";
}

std::string BoxWriter::Lines(const std::string& picture, std::span<const metrics::Detection> boxes) {
  if (format_ == BoxFormat::kCoco) return CocoLines(picture, boxes);
  if (format_ == BoxFormat::kJsonLines) return JsonLine(picture, boxes);
  std::string text;
  for (const metrics::Detection& found : boxes) {
    const std::string& name = classes_[static_cast<size_t>(found.category)];
    const auto& [x, y, width, height] = found.box;
    if (format_ == BoxFormat::kCsv)
      text += fmt::format("{},{},{:.4f},{:.2f},{:.2f},{:.2f},{:.2f}\n", CsvCell(picture), CsvCell(name), found.score, x,
                          y, width, height);
    else
      text +=
          fmt::format("{}\t{} {:.2f}\t{:.0f},{:.0f} {:.0f}x{:.0f}\n", picture, name, found.score, x, y, width, height);
  }
  if (boxes.empty() && format_ == BoxFormat::kText) text = picture + "\tnothing\n";
  return text;
}

}  // namespace lockstep::launch
