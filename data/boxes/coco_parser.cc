#include "data/boxes/coco_parser.h"

#include <cmath>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

namespace lockstep::data {
namespace {

using Json = nlohmann::json;

constexpr char kFormat[] =
    "COCO's files of objects are {\"images\": [...], \"annotations\": [...], \"categories\": [...]}";

/// Told each value of the file, in order. Depth 1 is the file's object, 2 a list in it, 3 an item of that list, 4 a
/// list or object within an item.
class CocoHandler : public nlohmann::json_sax<Json> {
 public:
  explicit CocoHandler(const Origin& origin) : origin_(origin) {}

  CocoLists Take() { return std::move(lists_); }

  bool null() override { return Scalar("null"); }
  bool boolean(bool value) override { return Number(value ? 1 : 0, std::nullopt, "a truth value"); }
  bool number_integer(number_integer_t value) override { return Number(static_cast<double>(value), value); }
  bool number_unsigned(number_unsigned_t value) override {
    if (!std::in_range<int64_t>(value)) return Number(static_cast<double>(value), std::nullopt);
    return number_integer(static_cast<int64_t>(value));
  }
  bool number_float(number_float_t value, const string_t&) override {
    const bool is_whole = value == std::floor(value) && std::abs(value) < 0x1p53;
    return Number(value, is_whole ? std::optional(static_cast<int64_t>(value)) : std::nullopt);
  }
  bool binary(binary_t&) override { return true; }  // JSON has none

  bool string(string_t& value) override {
    if (depth_ == 3 && section_ == Section::kImages && key_ == "file_name")
      lists_.images.back().file = value;
    else if (depth_ == 3 && section_ == Section::kCategories && key_ == "name")
      lists_.categories.back().name = value;
    else
      return Scalar("a text");
    return true;
  }

  bool key(string_t& name) override {
    if (depth_ == 1) {
      section_ = name == "images"        ? Section::kImages
                 : name == "annotations" ? Section::kAnnotations
                 : name == "categories"  ? Section::kCategories
                                         : Section::kOther;
      section_name_ = name;
      item_ = 0;
    } else if (depth_ == 3) {
      key_ = name;
    }
    return true;
  }

  bool start_object(size_t) override {
    ++depth_;
    if (section_ == Section::kOther) return true;
    if (depth_ == 2) throw NoList("an object");
    if (depth_ == 3) BeginItem();
    if (depth_ == 4) RefuseNested("an object");
    return true;
  }
  bool end_object() override {
    if (depth_ == 3) ++item_;
    --depth_;
    return true;
  }

  bool start_array(size_t) override {
    ++depth_;
    if (depth_ == 1) throw origin_.Bad("the file is a list", kFormat);
    if (section_ == Section::kOther) return true;
    if (depth_ == 3) throw NoObject("a list");
    if (depth_ == 4 && IsBox())
      lists_.annotations.back().box_numbers = 0;
    else if (depth_ == 4)
      RefuseNested("a list");
    if (depth_ == 5 && in_box_) throw Bad("holds a list");
    in_box_ = depth_ == 4 && IsBox();
    return true;
  }
  bool end_array() override {
    in_box_ = false;
    --depth_;
    return true;
  }

  bool parse_error(size_t position, const std::string&, const nlohmann::detail::exception& error) override {
    const std::string_view what = error.what();
    const size_t begin = what.find("while parsing");  // behind its number and the position
    throw origin_.Bad(
        fmt::format("byte {}: it is no JSON: {}", position, begin == what.npos ? what : what.substr(begin)), kFormat);
  }

 private:
  enum class Section { kOther, kImages, kAnnotations, kCategories };

  bool IsBox() const { return section_ == Section::kAnnotations && key_ == "bbox"; }

  Error NoList(const char* what) const {
    return origin_.Bad(fmt::format("\"{}\" is {} and no list", section_name_, what), kFormat);
  }
  Error NoObject(const char* what) const {
    return origin_.Bad(fmt::format("{}[{}] is {} and no object", section_name_, item_, what), kFormat);
  }
  /// What is wrong with the field.
  Error Bad(const std::string& what) const {
    return origin_.Bad(fmt::format("{}[{}]: \"{}\" {}", section_name_, item_, key_, what), kFormat);
  }

  void BeginItem() {
    key_.clear();
    if (section_ == Section::kImages) lists_.images.emplace_back();
    if (section_ == Section::kAnnotations) lists_.annotations.emplace_back();
    if (section_ == Section::kCategories) lists_.categories.emplace_back();
  }

  /// Where the whole number that is read now belongs; null where it isn't wanted.
  std::optional<int64_t>* WholeField() {
    if (section_ == Section::kImages) {
      CocoImage& image = lists_.images.back();
      return key_ == "id" ? &image.id : key_ == "width" ? &image.width : key_ == "height" ? &image.height : nullptr;
    }
    if (section_ == Section::kCategories) return key_ == "id" ? &lists_.categories.back().id : nullptr;
    CocoAnnotation& annotation = lists_.annotations.back();
    return key_ == "id"            ? &annotation.id
           : key_ == "image_id"    ? &annotation.image
           : key_ == "category_id" ? &annotation.category
                                   : nullptr;
  }

  bool IsRealField() const {
    return section_ == Section::kAnnotations && (key_ == "bbox" || key_ == "area" || key_ == "iscrowd");
  }
  bool IsTextField() const {
    return (section_ == Section::kImages && key_ == "file_name") ||
           (section_ == Section::kCategories && key_ == "name");
  }

  void RefuseNested(const char* what) {
    if (WholeField() != nullptr || IsRealField() || IsTextField()) throw Bad(fmt::format("is {}", what));
  }

  /// A value that is no number and not the text of a field for texts.
  bool Scalar(const char* what) {
    if (depth_ == 0) throw origin_.Bad(fmt::format("the file is {}", what), kFormat);
    if (section_ == Section::kOther) return true;
    if (depth_ == 1) throw NoList(what);
    if (depth_ == 2) throw NoObject(what);
    if (in_box_) throw Bad(fmt::format("holds {}", what));
    if (depth_ == 3) RefuseNested(what);
    return true;
  }

  /// A number, or a truth value; `whole` where it is a whole number.
  bool Number(double value, std::optional<int64_t> whole, const char* what = "a number") {
    if (section_ == Section::kOther || depth_ < 3) return Scalar(what);
    if (in_box_) {
      CocoAnnotation& annotation = lists_.annotations.back();
      if (annotation.box_numbers < 4) annotation.box[annotation.box_numbers] = value;
      ++annotation.box_numbers;
      return true;
    }
    if (depth_ > 3) return true;
    if (std::optional<int64_t>* field = WholeField()) {
      if (!whole) throw Bad("is no whole number");
      *field = whole;
    } else if (section_ == Section::kAnnotations && key_ == "area") {
      lists_.annotations.back().area = value;
    } else if (section_ == Section::kAnnotations && key_ == "iscrowd") {
      lists_.annotations.back().crowd = value != 0;
    } else {
      return Scalar(what);
    }
    return true;
  }

  const Origin& origin_;
  CocoLists lists_;
  Section section_ = Section::kOther;
  std::string section_name_, key_;
  size_t item_ = 0;
  int depth_ = 0;
  bool in_box_ = false;
};

}  // namespace

CocoLists ParseCocoLists(std::span<const std::byte> json, const Origin& origin) {
  CocoHandler handler(origin);
  const auto* begin = reinterpret_cast<const char*>(json.data());
  Json::sax_parse(begin, begin + json.size(), &handler);
  return handler.Take();
}

}  // namespace lockstep::data
