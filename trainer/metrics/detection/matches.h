// What a detector should have found in an image, what it found, and the record of what became of that.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "trainer/metrics/detection/boxes.h"

namespace lockstep::metrics {

/// An object that was annotated.
struct Truth {
  Box box;
  int32_t category = 0;
  double area = 0;     ///< decides whether it is small, medium or large: COCO's is the segment's, else the box's
  bool crowd = false;  ///< many objects in one box: need not be found, and may be found any number of times
};

struct Detection {
  Box box;
  int32_t category = 0;
  double score = 0;
};

enum class Outcome : uint8_t { kWrong = 0, kRight = 1, kIgnored = 2 };

/// An entry for each image and each category that has truths or detections there, in the order of images and, within
/// an image, of categories. Made of plain vectors, so that ranks match their own images and send them; the records of
/// several images are appended in the order of images.
struct Matches {
  std::vector<int32_t> categories;  ///< [entries]
  std::vector<int32_t> detections;  ///< [entries] how many
  std::vector<int32_t> truths;      ///< [entries][areas] how many should be found
  std::vector<double> scores;       ///< of one entry's detections after the other's, highest first within each
  std::vector<uint8_t> outcomes;    ///< Outcome, of one entry after the other, each [areas][thresholds][detections]

  void Append(const Matches& next);

  friend bool operator==(const Matches&, const Matches&) = default;
};

/// A detection of a category in `matches`.
struct RankedDetection {
  double score = 0;
  size_t entry = 0;
  int32_t rank = 0;  ///< among those of its entry, 0: the highest score
};

/// Those of one category of which each entry has at most `most`, highest score first; of equal ones those of the
/// earlier entry first. `entries`: that category's, ascending.
std::vector<RankedDetection> RankDetections(const Matches& matches, std::span<const size_t> entries, int32_t most);

/// The entries of each category in [0, categories). Throws Error(kInternal) where one has another category, or the
/// vectors' sizes are not those of `areas` and `thresholds`.
std::vector<std::vector<size_t>> EntriesOfCategories(const Matches& matches, int categories, int64_t areas,
                                                     int64_t thresholds);

/// Where the outcomes of each entry begin. Likewise where their scores begin with `areas` = `thresholds` = 1.
std::vector<size_t> EntryOffsets(const Matches& matches, int64_t areas, int64_t thresholds);

/// Places of the highest scores first, of equal ones in their order; those that are NaN last.
std::vector<size_t> OrderByScore(std::span<const double> scores);

}  // namespace lockstep::metrics
