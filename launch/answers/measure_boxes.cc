#include "launch/answers/measure_boxes.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <numeric>
#include <string>

#include "data/image/decode_image.h"
#include "launch/answers/draw_boxes.h"
#include "launch/answers/thumbnail.h"
#include "trainer/infer/detector.h"
#include "trainer/metrics/detection/detection_errors.h"

namespace lockstep::launch {
namespace {

using metrics::Detection;
using metrics::Truth;

constexpr size_t kWorstPictures = 12;
constexpr int64_t kPictureSide = 400;

/// What became of a picture's truths and of the boxes that are shown, as COCO matches them at IoU 0.5.
struct Looked {
  std::vector<Detection> shown;
  std::vector<bool> right;   ///< of `shown`; in a crowd is right
  std::vector<bool> missed;  ///< of the truths

  int64_t errors() const {
    return std::count(right.begin(), right.end(), false) + std::count(missed.begin(), missed.end(), true);
  }
};

Looked Look(std::span<const Truth> truths, std::span<const Detection> found) {
  Looked looked;
  std::copy_if(found.begin(), found.end(), std::back_inserter(looked.shown),
               [](const Detection& box) { return box.score >= kShownScore; });
  const metrics::FoundTruths matched = metrics::FindTruths(truths, looked.shown);
  for (size_t i = 0; i < looked.shown.size(); ++i) looked.right.push_back(matched.right[i] || matched.in_crowd[i]);
  for (size_t i = 0; i < truths.size(); ++i) looked.missed.push_back(!matched.found[i] && !truths[i].crowd);
  return looked;
}

std::string DrawLooked(const data::Dataset& samples, uint64_t id, std::span<const Truth> truths, const Looked& looked,
                       const std::vector<std::string>& classes) {
  constexpr std::array<uint8_t, 3> kGreen = {30, 150, 60}, kOrange = {235, 140, 10}, kRed = {220, 40, 40};
  data::Sample sample;
  samples.Read(0, id, sample);
  data::Image picture;
  data::DecodeImage(sample.tensors[0].bytes, {}, {samples.Describe(0, id).line, "the split"}, picture);
  data::Image small = Shrink(picture, kPictureSide);
  const double scale = static_cast<double>(small.width) / static_cast<double>(picture.width);
  std::vector<DrawnBox> drawn;
  const auto add = [&](const metrics::Box& box, const std::string& label, const std::array<uint8_t, 3>& color) {
    drawn.push_back({box.x * scale, box.y * scale, box.width * scale, box.height * scale, label, color});
  };
  for (const bool right : {true, false})
    for (size_t i = 0; i < looked.shown.size(); ++i)
      if (looked.right[i] == right)
        add(looked.shown[i].box, right ? "" : classes[static_cast<size_t>(looked.shown[i].category)],
            right ? kGreen : kOrange);
  for (size_t i = 0; i < truths.size(); ++i)
    if (looked.missed[i]) add(truths[i].box, classes[static_cast<size_t>(truths[i].category)], kRed);
  DrawBoxes(drawn, small);
  return Thumbnail(small, kPictureSide);
}

}  // namespace

void MeasureBoxes(const data::Dataset& samples, std::span<const std::vector<Detection>> found,
                  records::SplitRecord& record) {
  std::vector<std::vector<Truth>> truths;
  std::vector<Looked> looked;
  data::SampleSize size;
  for (uint64_t id = 0; id < samples.size(); ++id) {
    samples.Measure(0, id, size);
    truths.push_back(infer::TruthsOf(size.pictures.front()));
    looked.push_back(Look(truths.back(), found[id]));
  }
  record.detection = metrics::MeasureDetections(truths, found, static_cast<int>(record.classes.size()), kShownScore);
  record.worst_by = "errors";
  std::vector<size_t> order(samples.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return looked[a].errors() > looked[b].errors(); });
  for (const size_t id : order) {
    const Looked& of = looked[id];
    if (of.errors() == 0 || record.worst.size() == kWorstPictures) break;  // what follows is right
    const int64_t missed = std::count(of.missed.begin(), of.missed.end(), true);
    records::WorstAnswer one{.sample = id, .name = samples.Describe(0, id).name};
    one.image = DrawLooked(samples, id, truths[id], of, record.classes);
    one.expected = fmt::format("{} objects, {} missed (red)", truths[id].size(), missed);
    one.answer = fmt::format("{} boxes, {} wrong (orange)", of.shown.size(), of.errors() - missed);
    one.score = static_cast<double>(of.errors());
    record.worst.push_back(std::move(one));
  }
}

}  // namespace lockstep::launch
