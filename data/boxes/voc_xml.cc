#include "data/boxes/voc_xml.h"

#include <expat.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <memory>
#include <optional>
#include <set>
#include <string_view>

#include "data/boxes/box_checks.h"

namespace lockstep::data {
namespace {

constexpr size_t kDeepest = 512;  // characters of a path of elements
constexpr char kFormat[] = "Pascal VOC's files are <annotation> with an <object> for each box";

std::string_view Trim(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r\n";
  const size_t begin = text.find_first_not_of(kBlanks);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlanks) + 1 - begin);
}

std::optional<double> Number(std::string_view text) {
  double number = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (failed != std::errc() || end != text.data() + text.size() || !std::isfinite(number)) return std::nullopt;
  return number;
}

/// An object while it is read.
struct OpenObject {
  std::string name;
  std::optional<double> xmin, ymin, xmax, ymax;
  bool difficult = false;
  uint64_t line = 0;
};

/// Follows expat through a file. Expat is C: errors can't be thrown through it, and are kept.
class VocParser {
 public:
  explicit VocParser(const Origin& origin) : origin_(origin), parser_(XML_ParserCreate(nullptr), XML_ParserFree) {
    if (parser_ == nullptr) throw std::bad_alloc();
    XML_SetUserData(parser_.get(), this);
    XML_SetElementHandler(
        parser_.get(), [](void* self, const char* name, const char**) { Guard(self, &VocParser::Begin, name); },
        [](void* self, const char*) { Guard(self, &VocParser::End); });
    XML_SetCharacterDataHandler(parser_.get(), [](void* self, const char* text, int size) {
      Guard(self, &VocParser::Text, std::string_view(text, static_cast<size_t>(size)));
    });
    XML_SetStartDoctypeDeclHandler(
        parser_.get(), [](void* self, const char*, const char*, const char*, int) { Guard(self, &VocParser::Refuse); });
    image_.path = origin.path;
  }

  VocImage Parse(std::span<const std::byte> xml) {
    if (xml.size() > static_cast<size_t>(std::numeric_limits<int>::max()))
      throw origin_.Bad("the file is larger than 2 GiB", kFormat);
    const auto* bytes = reinterpret_cast<const char*>(xml.data());
    const XML_Status status = XML_Parse(parser_.get(), bytes, static_cast<int>(xml.size()), /*isFinal=*/1);
    if (error_) std::rethrow_exception(error_);
    if (status != XML_STATUS_OK)
      throw Bad(fmt::format("it is no XML: {}", XML_ErrorString(XML_GetErrorCode(parser_.get()))));
    return std::move(image_);
  }

 private:
  template <typename... Arguments>
  static void Guard(void* self, void (VocParser::*method)(Arguments...), Arguments... arguments) {
    auto& parser = *static_cast<VocParser*>(self);
    if (parser.error_) return;  // expat tells a little more after it was stopped
    try {
      (parser.*method)(arguments...);
    } catch (...) {
      parser.error_ = std::current_exception();
      XML_StopParser(parser.parser_.get(), /*resumable=*/XML_FALSE);
    }
  }

  uint64_t Line() const { return XML_GetCurrentLineNumber(parser_.get()); }
  Error Bad(std::string message) const { return origin_.Bad(std::move(message), kFormat, fmt::format("{}", Line())); }

  void Refuse() { throw Bad("it has a <!DOCTYPE>"); }

  void Begin(const char* name) {
    if (path_.empty() && std::string_view(name) != "annotation")
      throw Bad(fmt::format("it begins with <{:.40}>, not with <annotation>", name));
    path_.append("/").append(name);
    if (path_.size() > kDeepest) throw Bad("elements lie too deep within each other");
    text_.clear();
    if (path_ != "/annotation/object") return;
    object_ = {};
    object_.line = Line();
  }

  void Text(std::string_view text) { text_.append(text); }

  void End() {
    Take(Trim(text_));
    text_.clear();
    path_.resize(path_.rfind('/'));
  }

  /// What an element that ends says.
  void Take(std::string_view text) {
    constexpr std::string_view kObject = "/annotation/object", kBox = "/annotation/object/bndbox/";
    const std::string_view path = path_;
    if (path == "/annotation/filename") image_.file = text;
    if (path == "/annotation/size/width") image_.width = Pixels(text);
    if (path == "/annotation/size/height") image_.height = Pixels(text);
    if (path == "/annotation/object/name") object_.name = text;
    if (path == "/annotation/object/difficult") object_.difficult = Coordinate(text) != 0;
    if (path.starts_with(kBox)) {
      const std::string_view side = path.substr(kBox.size());
      if (side == "xmin") object_.xmin = Coordinate(text);
      if (side == "ymin") object_.ymin = Coordinate(text);
      if (side == "xmax") object_.xmax = Coordinate(text);
      if (side == "ymax") object_.ymax = Coordinate(text);
    }
    if (path == kObject) AddObject();
  }

  double Coordinate(std::string_view text) const {
    const std::optional<double> number = Number(text);
    if (!number) throw Bad(fmt::format("<{}> is \"{:.40}\", which is no number", path_.substr(1), text));
    return *number;
  }

  int64_t Pixels(std::string_view text) const {
    const double number = Coordinate(text);
    if (!(number >= 0 && number <= 1e6 && number == std::floor(number)))
      throw Bad(fmt::format("<{}> is {:.40}: not a size in pixels", path_.substr(1), text));
    return static_cast<int64_t>(number);
  }

  void AddObject() {
    if (object_.name.empty()) throw Bad("an <object> has no <name>");
    if (!object_.xmin || !object_.ymin || !object_.xmax || !object_.ymax)
      throw Bad("an <object> has no <bndbox> with xmin, ymin, xmax and ymax");
    image_.objects.push_back({std::move(object_.name), *object_.xmin, *object_.ymin, *object_.xmax, *object_.ymax,
                              object_.difficult, object_.line});
  }

  const Origin& origin_;
  std::unique_ptr<XML_ParserStruct, void (*)(XML_Parser)> parser_;
  std::exception_ptr error_;
  std::string path_, text_;
  OpenObject object_;
  VocImage image_;
};

}  // namespace

VocImage ReadVocXml(std::span<const std::byte> xml, const Origin& origin) { return VocParser(origin).Parse(xml); }

BoxData MakeVocData(const std::vector<VocImage>& images) {
  std::set<std::string> names;
  for (const VocImage& image : images)
    for (const VocObject& object : image.objects) names.insert(object.name);
  BoxData data;
  data.categories.assign(names.begin(), names.end());
  for (size_t i = 0; i < names.size(); ++i) data.category_ids.push_back(static_cast<int64_t>(i));
  for (const VocImage& from : images) {
    AnnotatedImage image{from.file, from.width, from.height, static_cast<int64_t>(data.images.size()), {}};
    for (const VocObject& object : from.objects) {
      const auto found = std::lower_bound(data.categories.begin(), data.categories.end(), object.name);
      BoxAnnotation box{object.xmin, object.ymin, object.xmax - object.xmin, object.ymax - object.ymin};
      box.category = static_cast<int32_t>(found - data.categories.begin());
      box.crowd = object.difficult;
      box.area = box.width * box.height;
      AddBox(box, fmt::format("{}:{}", from.path, object.line), image, data.problems);
    }
    data.images.push_back(std::move(image));
  }
  CheckFiles(data.images, data.problems);
  return data;
}

}  // namespace lockstep::data
