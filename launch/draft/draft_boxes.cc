#include "launch/draft/draft_boxes.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "base/error.h"
#include "data/boxes/open_boxes.h"
#include "data/open/open_dataset.h"
#include "data/source_file.h"

namespace lockstep::launch {
namespace {

namespace fs = std::filesystem;

bool IsThere(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

std::vector<fs::path> FilesIn(const fs::path& folder, const std::string& extension) {
  std::vector<fs::path> files;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder, ignored))
    if (entry.is_regular_file() && entry.path().extension() == extension) files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  return files;
}

/// Whether it has what COCO's files have, unlike lists of recordings, which may be JSON too.
bool IsCoco(const std::string& path) {
  const std::vector<std::byte> bytes = data::LoadSourceFile({path, "DATA"}, data::Kinds::kAny);
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  return text.find("\"images\"") != text.npos && text.find("\"annotations\"") != text.npos;
}

/// COCO's: of several the one to train on, "instances_train2017.json".
std::optional<std::string> FindCocoFile(const fs::path& folder) {
  for (const fs::path& in : {folder, folder / "annotations"}) {
    std::vector<fs::path> files = FilesIn(in, ".json");
    std::erase_if(files, [](const fs::path& file) { return !IsCoco(file.string()); });
    std::stable_partition(files.begin(), files.end(), [](const fs::path& file) {
      return file.filename().string().find("train") != std::string::npos;
    });
    if (!files.empty()) return files.front().string();
  }
  return std::nullopt;
}

class BoxDrafter {
 public:
  BoxDrafter(const BoxFiles& files, const DraftOptions& options) : files_(files), options_(options) {
    FindSplits();
    data::OpenOptions open{.training = true};
    samples_ = data::OpenDataset(train_, "data.train", /*seed=*/1, data::Verify::AUTO, open);
    Look();
  }

  Draft Make() {
    const std::vector<std::string>& classes = samples_->traits().class_names;
    Draft draft;
    draft.recipe = DraftHead(fmt::format("Written by lockstep new for {}: {} pictures with {} boxes of {} classes.",
                                         fs::path(options_.path).lexically_normal().string(), samples_->size(), boxes_,
                                         classes.size()));
    draft.recipe += fmt::format("name: {}\n\ndata {{\n", Quoted(options_.name));
    std::vector<DraftLine> lines = {{fmt::format("train {{ {} }}", TextOf(train_)), ClassesText()}};
    if (has_test_)
      lines.push_back({fmt::format("test {{ {} }}", TextOf(test_)), "the last line of a run reports on it"});
    else
      lines.push_back({"split { test: 0.2 }", "a fifth of the pictures is kept to test on"});
    lines.push_back({fmt::format("pictures {{ height: {} width: {} fit: PAD }}", height_, width_),
                     fmt::format("theirs: about {} x {}; more here finds smaller objects, and takes longer",
                                 picture_height_, picture_width_)});
    lines.push_back({"normalize { auto {} }", "channels get mean 0 and deviation 1, by the training pictures"});
    lines.push_back({"augment { flip: true zoom { min: 0.7 max: 1.4 move: 0.1 } channel_gain: 0.1 }",
                     "each epoch sees them otherwise; without flip where left and right matter"});
    draft.recipe += Lay(lines, 2) + "}\n\n" + ModelText();
    draft.answer = fmt::format("predict {{run}} {} --draw drawn", PicturesFolder());
    AddNotes(draft);
    return draft;
  }

 private:
  void FindSplits() {
    if (files_.kind == BoxFiles::Kind::kCoco) {
      SetCoco(files_.path, *train_.mutable_coco());
      for (const char* part : {"test", "val"}) {
        const std::string file = CocoFileOf(part);
        if (file.empty() || has_test_) continue;
        SetCoco(file, *test_.mutable_coco());
        has_test_ = true;
      }
      return;
    }
    if (files_.kind == BoxFiles::Kind::kYolo) {
      const std::vector<std::string> parts = data::PartsOfYolo(files_.path);
      const auto has = [&](const char* part) { return std::find(parts.begin(), parts.end(), part) != parts.end(); };
      train_.mutable_yolo()->set_file(files_.path);
      has_test_ = has("test") || has("val");
      test_.mutable_yolo()->set_file(files_.path);
      test_.mutable_yolo()->set_part(has("test") ? "test" : "val");
      return;
    }
    train_.mutable_voc()->set_path(files_.path);
    const fs::path sets = fs::path(files_.path) / "ImageSets" / "Main";
    has_test_ = IsThere(sets / "test.txt") && (IsThere(sets / "trainval.txt") || IsThere(sets / "train.txt"));
    if (!has_test_) return;
    train_.mutable_voc()->add_sets(IsThere(sets / "trainval.txt") ? "trainval" : "train");
    test_.mutable_voc()->set_path(files_.path);
    test_.mutable_voc()->add_sets("test");
  }

  static void SetCoco(const std::string& file, data::CocoBoxes& coco) {
    coco.set_annotations(file);
    if (const std::string folder = CocoPictures(file); !folder.empty()) coco.set_images(folder);
  }

  /// "instances_val.json" beside "instances_train.json"; empty where there is none, or it has no annotations.
  std::string CocoFileOf(const std::string& part) const {
    std::string name = fs::path(files_.path).filename().string();
    const size_t at = name.find("train");
    if (at == name.npos) return "";
    name.replace(at, std::string_view("train").size(), part);
    const fs::path file = fs::path(files_.path).parent_path() / name;
    return IsThere(file) && IsCoco(file.string()) ? file.string() : "";
  }

  /// Where COCO's pictures lie, if not beside the file: "train2017" for "annotations/instances_train2017.json".
  static std::string CocoPictures(const std::string& path) {
    const fs::path file(path), folder = file.parent_path();
    const std::string stem = file.stem().string();
    const std::string part = stem.substr(stem.rfind('_') + 1);
    for (const fs::path& candidate : {folder.parent_path() / part, folder.parent_path() / "images" / part,
                                      folder / part, folder / "images", folder.parent_path() / "images"})
      if (std::error_code ignored; fs::is_directory(candidate, ignored)) return candidate.lexically_normal().string();
    return "";
  }

  std::string PicturesFolder() const {
    if (files_.kind == BoxFiles::Kind::kVoc) return files_.path + "/JPEGImages";
    if (files_.kind == BoxFiles::Kind::kCoco && !train_.coco().images().empty()) return train_.coco().images();
    return fs::path(samples_->Describe(0, 0).line).parent_path().string();
  }

  std::string TextOf(const data::Source& source) const {
    if (source.has_coco()) {
      const std::string images = source.coco().images().empty()
                                     ? ""
                                     : fmt::format(" images: {}", PathIn(options_.folder, source.coco().images()));
      return fmt::format("coco {{ annotations: {}{} }}", PathIn(options_.folder, source.coco().annotations()), images);
    }
    if (source.has_yolo()) {
      const std::string part =
          source.yolo().part().empty() ? "" : fmt::format(" part: {}", Quoted(source.yolo().part()));
      return fmt::format("yolo {{ file: {}{} }}", PathIn(options_.folder, source.yolo().file()), part);
    }
    const std::string sets = source.voc().sets().empty() ? "" : fmt::format(" sets: {}", Quoted(source.voc().sets(0)));
    return fmt::format("voc {{ path: {}{} }}", PathIn(options_.folder, source.voc().path()), sets);
  }

  /// Counts boxes, and chooses the size of the input: as large as makes the middle object 24 pixels, at least 320 and
  /// at most 640 pixels on the longer side, which a CPU trains in minutes.
  void Look() {
    constexpr double kObject = 24, kLeast = 320, kMost = 640;
    constexpr int64_t kMultiple = 16;
    counts_.assign(static_cast<size_t>(samples_->classes()), 0);
    std::vector<int64_t> heights, widths;
    std::vector<double> sides;
    data::SampleSize size;
    for (uint64_t id = 0; id < samples_->size(); ++id) {
      samples_->Measure(0, id, size);
      const data::AnnotatedPicture& picture = size.pictures.front();
      heights.push_back(picture.height);
      widths.push_back(picture.width);
      for (const data::BoxAnnotation& box : picture.boxes) {
        ++counts_[static_cast<size_t>(box.category)];
        ++boxes_;
        sides.push_back(std::sqrt(box.width * box.height) /
                        static_cast<double>(std::max(picture.height, picture.width)));
      }
    }
    const auto middle = [](auto& values) {
      std::nth_element(values.begin(), values.begin() + static_cast<ptrdiff_t>(values.size() / 2), values.end());
      return values[values.size() / 2];
    };
    picture_height_ = middle(heights);
    picture_width_ = middle(widths);
    const auto longer = static_cast<double>(std::max(picture_height_, picture_width_));
    const double wanted = std::min(std::clamp(kObject / middle(sides), kLeast, kMost), std::max(longer, kLeast));
    const auto scaled = [&](int64_t side) {
      const double pixels = static_cast<double>(side) * wanted / longer;
      return std::max<int64_t>(1, std::llround(pixels / kMultiple)) * kMultiple;
    };
    height_ = scaled(picture_height_);
    width_ = scaled(picture_width_);
  }

  std::string ClassesText() const {
    constexpr size_t kMostNamed = 6;
    const std::vector<std::string>& names = samples_->traits().class_names;
    std::vector<std::string> parts;
    for (size_t i = 0; i < std::min(kMostNamed, names.size()); ++i)
      parts.push_back(fmt::format("{} ({})", names[i], counts_[i]));
    return fmt::format("{}{}", fmt::join(parts, ", "), parts.size() < names.size() ? ", ..." : "");
  }

  std::string ModelText() const {
    constexpr uint64_t kBatch = 16, kSteps = 1400;
    const auto pictures = static_cast<double>(samples_->size()) * (has_test_ ? 1 : 0.8);
    const auto epochs = static_cast<uint64_t>(std::clamp(std::ceil(kSteps * kBatch / pictures), 12.0, 150.0));
    std::string text =
        "model {\n" + Lay({{"detector {}", "small enough for CPUs; lockstep help recipe model.detector"}}, 2);
    text += "}\n\ntrain {\n";
    text += Lay({{fmt::format("epochs: {}", epochs), "passes over the training pictures"},
                 {fmt::format("global_batch: {}", kBatch), "pictures of a step, all ranks together"},
                 {"seed: 1", "another seed, another run"}},
                2);
    text += "}\n\noptimizer {\n";
    text += Lay({{"adamw {}"},
                 {"learning_rate: 3e-3"},
                 {"weight_decay: 0.05"},
                 {"schedule { cosine {} warmup_fraction: 0.1 }", "the rate falls to 0 at the end"}},
                2);
    return text + "}\n\ncheckpoint { every_minutes: 10 }\n";
  }

  void AddNotes(Draft& draft) const {
    constexpr uint64_t kFew = 50;
    const auto few =
        static_cast<size_t>(std::count_if(counts_.begin(), counts_.end(), [](uint64_t count) { return count < kFew; }));
    if (few > 0)
      draft.notes.push_back(fmt::format("{} of {} classes have fewer than {} boxes: what is rare is hardly learnt", few,
                                        counts_.size(), kFew));
  }

  const BoxFiles files_;
  const DraftOptions& options_;
  data::Source train_, test_;
  bool has_test_ = false;
  std::unique_ptr<data::Dataset> samples_;
  std::vector<uint64_t> counts_;  ///< of boxes, by class
  uint64_t boxes_ = 0;
  int64_t picture_height_ = 0, picture_width_ = 0, height_ = 0, width_ = 0;
};

}  // namespace

std::optional<BoxFiles> FindBoxFiles(const std::string& path) {
  using Kind = BoxFiles::Kind;
  std::error_code ignored;
  if (!fs::is_directory(path, ignored)) {
    if (path.ends_with(".json") && IsCoco(path)) return BoxFiles{Kind::kCoco, path};
    if (path.ends_with(".yaml") || path.ends_with(".yml")) return BoxFiles{Kind::kYolo, path};
    return std::nullopt;
  }
  const fs::path folder(path);
  if (IsThere(folder / "Annotations") && IsThere(folder / "JPEGImages")) return BoxFiles{Kind::kVoc, path};
  for (const char* name : {"data.yaml", "data.yml", "dataset.yaml"})
    if (IsThere(folder / name)) return BoxFiles{Kind::kYolo, (folder / name).string()};
  if (const auto coco = FindCocoFile(folder)) return BoxFiles{Kind::kCoco, *coco};
  return std::nullopt;
}

Draft DraftBoxes(const BoxFiles& files, const DraftOptions& options) { return BoxDrafter(files, options).Make(); }

}  // namespace lockstep::launch
