#include "data/boxes/coco_json.h"

#include <algorithm>
#include <string>
#include <unordered_map>
#include <unordered_set>

#include "data/boxes/box_checks.h"
#include "data/boxes/coco_parser.h"

namespace lockstep::data {
namespace {

using Places = std::unordered_map<int64_t, size_t>;  // of ids

template <typename T>
const T& Require(const std::optional<T>& field, const char* list, size_t item, const char* name, const Origin& origin) {
  if (!field) throw origin.Bad(fmt::format("{}[{}] has no \"{}\"", list, item, name));
  return *field;
}

/// The list in the order of ids; of equal ones the earlier first. Throws where one has none.
template <typename Item>
void SortById(std::vector<Item>& items, const char* list, const Origin& origin) {
  for (size_t i = 0; i < items.size(); ++i) Require(items[i].id, list, i, "id", origin);
  std::stable_sort(items.begin(), items.end(), [](const Item& a, const Item& b) { return *a.id < *b.id; });
}

Places AddCategories(std::vector<CocoCategory> categories, const Origin& origin, BoxData& data) {
  for (size_t i = 0; i < categories.size(); ++i) Require(categories[i].name, "categories", i, "name", origin);
  SortById(categories, "categories", origin);
  Places places;
  std::unordered_set<std::string> names;
  for (const CocoCategory& category : categories) {
    const std::string place = fmt::format("category {}, \"{}\"", *category.id, *category.name);
    if (*category.id == 0) data.problems.Add(BoxProblem::kCategoryZero, place);
    if (!places.emplace(*category.id, data.categories.size()).second) {
      data.problems.Add(BoxProblem::kRepeatedCategory, place);
      continue;
    }
    if (!names.insert(*category.name).second) data.problems.Add(BoxProblem::kRepeatedCategory, place);
    data.categories.push_back(*category.name);
    data.category_ids.push_back(*category.id);
  }
  return places;
}

Places AddImages(std::vector<CocoImage> images, const Origin& origin, BoxData& data) {
  for (size_t i = 0; i < images.size(); ++i) Require(images[i].file, "images", i, "file_name", origin);
  SortById(images, "images", origin);
  Places places;
  for (CocoImage& image : images) {
    if (!places.emplace(*image.id, data.images.size()).second) {
      data.problems.Add(BoxProblem::kRepeatedImage, fmt::format("image {}, {}", *image.id, *image.file));
      continue;
    }
    data.images.push_back({std::move(*image.file),
                           std::max<int64_t>(0, image.width.value_or(0)),
                           std::max<int64_t>(0, image.height.value_or(0)),
                           *image.id,
                           {}});
  }
  CheckFiles(data.images, data.problems);
  return places;
}

/// Adds annotations to their images.
class Annotations {
 public:
  Annotations(const Places& categories, const Places& images, const Origin& origin, BoxData& data)
      : categories_(categories), images_(images), origin_(origin), data_(data) {}

  void Add(const CocoAnnotation& annotation, size_t item) {
    const int64_t image_id = Require(annotation.image, "annotations", item, "image_id", origin_);
    const int64_t category_id = Require(annotation.category, "annotations", item, "category_id", origin_);
    if (annotation.box_numbers != 4)
      throw origin_.Bad(fmt::format("annotations[{}] has no \"bbox\" of four numbers", item));
    std::string place = fmt::format("annotations[{}]", item);
    if (annotation.id) {
      place = fmt::format("annotation {}", *annotation.id);
      if (*annotation.id == 0) data_.problems.Add(BoxProblem::kAnnotationZero, place);
      if (!ids_.insert(*annotation.id).second) data_.problems.Add(BoxProblem::kRepeatedAnnotation, place);
    }
    used_.insert(category_id);
    const auto image = images_.find(image_id);
    const auto category = categories_.find(category_id);
    if (image == images_.end())
      data_.problems.Add(BoxProblem::kUnknownImage, fmt::format("{}, image {}", place, image_id));
    if (category == categories_.end())
      data_.problems.Add(BoxProblem::kUnknownCategory, fmt::format("{}, category {}", place, category_id));
    if (image == images_.end() || category == categories_.end()) return;
    const auto& [x, y, width, height] = annotation.box;
    const bool outside = AddBox({x, y, width, height, static_cast<int32_t>(category->second), annotation.crowd,
                                 annotation.area.value_or(width * height)},
                                place, data_.images[image->second], data_.problems);
    corners_.Add(x, y, width, height, outside, place);
  }

  void Finish() {
    corners_.Tell(data_.problems);
    const auto fit = [&](int64_t shift) {
      return std::all_of(used_.begin(), used_.end(), [&](int64_t id) { return categories_.contains(id + shift); });
    };
    if (fit(0)) return;
    for (const int64_t shift : {1, -1})
      if (fit(shift)) {
        const auto [least, largest] = std::minmax_element(used_.begin(), used_.end());
        data_.problems.Add(BoxProblem::kShiftedCategories,
                           fmt::format("annotations have {} to {}, the categories are {} to {}", *least, *largest,
                                       data_.category_ids.front(), data_.category_ids.back()),
                           static_cast<int64_t>(used_.size()));
      }
  }

 private:
  const Places &categories_, &images_;
  const Origin& origin_;
  BoxData& data_;
  std::unordered_set<int64_t> ids_, used_;
  CornerCheck corners_;
};

}  // namespace

BoxData ReadCocoJson(std::span<const std::byte> json, const Origin& origin) {
  CocoLists lists = ParseCocoLists(json, origin);
  BoxData data;
  const Places categories = AddCategories(std::move(lists.categories), origin, data);
  const Places images = AddImages(std::move(lists.images), origin, data);
  Annotations annotations(categories, images, origin, data);
  for (size_t i = 0; i < lists.annotations.size(); ++i) annotations.Add(lists.annotations[i], i);
  annotations.Finish();
  return data;
}

}  // namespace lockstep::data
