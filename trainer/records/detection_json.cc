#include "trainer/records/detection_json.h"

#include <array>
#include <cmath>
#include <limits>
#include <utility>

namespace lockstep::records {
namespace {

using metrics::CategoryNumbers;
using metrics::CocoSummary;
using metrics::DetectionErrors;
using metrics::DetectionMeasures;

constexpr std::array<std::pair<const char*, double CocoSummary::*>, 12> kSummary = {
    {{"ap", &CocoSummary::ap},
     {"ap50", &CocoSummary::ap50},
     {"ap75", &CocoSummary::ap75},
     {"ap_small", &CocoSummary::ap_small},
     {"ap_medium", &CocoSummary::ap_medium},
     {"ap_large", &CocoSummary::ap_large},
     {"recall_1", &CocoSummary::recall_1},
     {"recall_10", &CocoSummary::recall_10},
     {"recall_100", &CocoSummary::recall_100},
     {"recall_small", &CocoSummary::recall_small},
     {"recall_medium", &CocoSummary::recall_medium},
     {"recall_large", &CocoSummary::recall_large}}};

constexpr std::array<std::pair<const char*, int64_t DetectionErrors::*>, 8> kErrors = {
    {{"right", &DetectionErrors::right},
     {"classification", &DetectionErrors::classification},
     {"localisation", &DetectionErrors::localisation},
     {"both", &DetectionErrors::both},
     {"duplicate", &DetectionErrors::duplicate},
     {"background", &DetectionErrors::background},
     {"missed", &DetectionErrors::missed},
     {"ignored", &DetectionErrors::ignored}}};

double Number(const Json& object, const char* name) {
  return FieldOr<double>(object, name, std::numeric_limits<double>::quiet_NaN());
}

Json ObjectOr(const Json& object, const char* name) {
  return object.is_object() && object.contains(name) && object[name].is_object() ? object[name] : Json::object();
}

CategoryNumbers ParseCategory(const Json& row) {
  CategoryNumbers numbers;
  numbers.truths = FieldOr<int64_t>(row, "objects", 0);
  numbers.ap = Number(row, "ap");
  numbers.ap50 = Number(row, "ap50");
  numbers.ap50_all_points = Number(row, "ap50_all_points");
  if (row.is_object() && row.contains("precision") && row["precision"].is_array())
    for (const Json& value : row["precision"])
      if (value.is_number()) numbers.precision.push_back(value.get<double>());
  return numbers;
}

}  // namespace

Json DetectionJson(const DetectionMeasures& measures, const std::vector<std::string>& classes) {
  Json coco = Json::object(), errors = Json::object(), rows = Json::array();
  for (const auto& [name, member] : kSummary) coco[name] = measures.summary.*member;
  for (const auto& [name, member] : kErrors) errors[name] = measures.errors.*member;
  for (size_t i = 0; i < measures.categories.size(); ++i) {
    const CategoryNumbers& numbers = measures.categories[i];
    rows.push_back({{"name", i < classes.size() ? classes[i] : std::to_string(i)},
                    {"objects", numbers.truths},
                    {"ap", numbers.ap},
                    {"ap50", numbers.ap50},
                    {"ap50_all_points", numbers.ap50_all_points},
                    {"precision", numbers.precision}});
  }
  return {{"images", measures.images},
          {"coco", coco},
          {"ap50_all_points", measures.ap50_all_points},
          {"classes", rows},
          {"errors_from_score", measures.least_score},
          {"errors", errors}};
}

std::optional<DetectionMeasures> ParseDetection(const Json& object) {
  if (!object.is_object() || !object.contains("classes") || !object["classes"].is_array()) return std::nullopt;
  DetectionMeasures measures;
  measures.images = FieldOr<int64_t>(object, "images", 0);
  const Json coco = ObjectOr(object, "coco"), errors = ObjectOr(object, "errors");
  for (const auto& [name, member] : kSummary) measures.summary.*member = Number(coco, name);
  for (const auto& [name, member] : kErrors) measures.errors.*member = FieldOr<int64_t>(errors, name, 0);
  measures.ap50_all_points = Number(object, "ap50_all_points");
  measures.least_score = FieldOr<double>(object, "errors_from_score", 0);
  for (const Json& row : object["classes"]) measures.categories.push_back(ParseCategory(row));
  return measures;
}

}  // namespace lockstep::records
