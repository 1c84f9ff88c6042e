#include "launch/answers/predict_boxes.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <system_error>
#include <utility>

#include "base/error.h"
#include "base/files/atomic_write.h"
#include "data/boxes/boxed_pictures.h"
#include "data/image/decode_image.h"
#include "data/open/make_transform.h"
#include "data/source_file.h"
#include "launch/answers/answer_names.h"
#include "launch/answers/draw_boxes.h"
#include "launch/answers/encode_picture.h"
#include "launch/answers/picture_inputs.h"
#include "launch/job/job_setup.h"
#include "trainer/infer/detector.h"

namespace lockstep::launch {
namespace {

/// Files that are read at once; as the samples of data/boxes/boxed_pictures.h, without boxes.
class BoxedFiles final : public data::Dataset {
 public:
  explicit BoxedFiles(std::vector<std::string> paths) : paths_(std::move(paths)) {
    for (const std::string& path : paths_) {
      files_.push_back(data::LoadSourceFile({path, "INPUT"}, data::Kinds::kAny));
      headers_.push_back(data::ReadImageHeader(files_.back(), {path, "INPUT"}));
    }
  }

  const std::string& path(uint64_t id) const { return paths_[id]; }
  std::span<const std::byte> file(uint64_t id) const { return files_[id]; }

  uint64_t size() const override { return paths_.size(); }
  std::span<const data::Field> fields() const override {
    static const std::array<data::Field, 4> fields = {
        data::Field{"pictures", DType::kU8, Shape{-1}}, data::Field{"name", DType::kU8, Shape{-1}},
        data::Field{"sizes", DType::kI64, Shape{-1}}, data::Field{"boxes", DType::kU8, Shape{-1}}};
    return fields;
  }
  uint64_t fingerprint() const override { return 0; }
  void Measure(uint64_t, uint64_t id, data::SampleSize& size) const override {
    size.labels = 0;
    size.pictures = {{headers_[id].height, headers_[id].width, {}}};
  }
  void Read(uint64_t, uint64_t id, data::Sample& sample) const override {
    const std::string& path = paths_[id];
    const data::PictureSizes sizes{static_cast<int64_t>(files_[id].size()), headers_[id].height, headers_[id].width, 0};
    sample.tensors.resize(4);
    sample.tensors[0].Assign(std::span<const std::byte>(files_[id]));
    sample.tensors[1].Assign(std::span<const char>(path.data(), path.size()));
    sample.tensors[2].Assign(std::span<const data::PictureSizes>(&sizes, 1));
    sample.tensors[3].Assign(std::span<const data::BoxAnnotation>());
  }

 private:
  const std::vector<std::string> paths_;
  std::vector<std::vector<std::byte>> files_;
  std::vector<data::ImageHeader> headers_;
};

void MakeFolder(const std::string& folder) {
  if (folder.empty()) return;
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error || !std::filesystem::is_directory(folder))
    throw Error(ErrorKind::kUsage, fmt::format("{} can't be made a folder", folder), "--draw", "name another folder");
}

/// Writes drawn pictures into a folder, "NAME.png"; further ones of a name are "NAME-2.png" and so on.
class Drawings {
 public:
  /// `folder` empty: nothing is drawn.
  Drawings(std::string folder, const std::vector<std::string>& classes)
      : folder_(std::move(folder)), classes_(classes) {
    MakeFolder(folder_);
  }

  void Draw(const BoxedFiles& files, uint64_t id, std::span<const metrics::Detection> boxes);

 private:
  const std::string folder_;
  const std::vector<std::string>& classes_;
  std::map<std::string, int> names_;  ///< how often each was there
};

void Drawings::Draw(const BoxedFiles& files, uint64_t id, std::span<const metrics::Detection> boxes) {
  if (folder_.empty()) return;
  data::Image picture;
  data::DecodeImage(files.file(id), {}, {files.path(id), "INPUT"}, picture);
  std::vector<DrawnBox> drawn;
  for (const metrics::Detection& found : boxes)
    drawn.push_back({found.box.x, found.box.y, found.box.width, found.box.height,
                     fmt::format("{} {:.2f}", classes_[static_cast<size_t>(found.category)], found.score),
                     BoxColor(found.category)});
  std::reverse(drawn.begin(), drawn.end());  // the best ones on top
  DrawBoxes(drawn, picture);
  std::string name = std::filesystem::path(files.path(id)).stem().string();
  if (const int before = names_[name]++; before > 0) name += fmt::format("-{}", before + 1);
  WriteFileAtomically(FileSystem::Real(), fmt::format("{}/{}.png", folder_, name), EncodePng(picture));
}

}  // namespace

void PredictBoxes(const TrainedRun& run, const BoxesOptions& options,
                  const std::function<void(const std::string& lines)>& take) {
  CHECK(run.Detects());
  constexpr uint64_t kAtOnce = 64;  // so that the first answers come soon
  const std::vector<std::string> classes = ClassNamesOf(run.recipe.data(), run.shape);
  Drawings drawings(options.draw, classes);
  BoxWriter writer(options.format, classes);
  infer::DetectorForm form = DetectorFormOf(run.recipe, run.shape);
  form.find.least = std::max(options.least_score, 1e-6);
  const std::vector<std::string> paths = ListPictures(options.inputs);
  const std::shared_ptr<const data::Transform> transform =
      data::MakeTransform(BoxedFiles({}).fields(), data::ForAnswers(run.recipe.data()), run.recipe.train().seed());
  take(writer.Heading());
  for (uint64_t first = 0; first < paths.size(); first += kAtOnce) {
    const uint64_t count = std::min<uint64_t>(kAtOnce, paths.size() - first);
    const auto begin = paths.begin() + static_cast<ptrdiff_t>(first);
    const BoxedFiles files(std::vector<std::string>(begin, begin + static_cast<ptrdiff_t>(count)));
    const auto found = infer::DetectAll(*run.model, transform, form, files, options.threads);
    std::string lines;
    for (uint64_t i = 0; i < count; ++i) {
      lines += writer.Lines(paths[first + i], found[i]);
      drawings.Draw(files, i, found[i]);
    }
    take(lines);
  }
  take(writer.End());
}

}  // namespace lockstep::launch
