#include "launch/draft/draft_pictures.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "base/error.h"
#include "data/image/decode_image.h"
#include "data/pictures/walk_folder.h"
#include "data/source_file.h"

namespace lockstep::launch {
namespace {

constexpr uint64_t kLookedAt = 200;  // pictures whose size is read

struct Sizes {
  bool same = true;                               ///< all have one size
  int64_t height = 0, width = 0, short_side = 0;  ///< short_side: the median
};

class PictureDrafter {
 public:
  explicit PictureDrafter(const DraftOptions& options)
      : options_(options), walked_(data::WalkFolder(options.path, "DATA", nullptr)) {
    for (const int32_t label : walked_.list.classes) {
      counts_.resize(walked_.list.class_names.size());
      ++counts_[static_cast<size_t>(label)];
    }
    if (counts_.size() < 2)
      throw Error(ErrorKind::kUsage, "there is one class only", options.path,
                  "a folder has a folder of pictures for each class");
    LookAtSizes();
  }

  Draft Make() {
    Draft draft;
    const uint64_t pictures = walked_.list.names.size();
    draft.recipe = DraftHead(fmt::format("Written by lockstep new for {}: {} pictures of {} classes.",
                                         std::filesystem::path(options_.path).lexically_normal().string(), pictures,
                                         counts_.size()));
    draft.recipe += fmt::format("name: {}\n\ndata {{\n  train {{\n    folder {{\n", Quoted(options_.name));
    draft.recipe += Lay({{fmt::format("path: {}", PathIn(options_.folder, options_.path)), ClassesText()}}, 6);
    draft.recipe += "    }\n  }\n";
    std::vector<DraftLine> lines = {PicturesLine()};
    lines.push_back({"split { test: 0.2 }", "a fifth of the pictures of each class is kept to test on"});
    lines.push_back({"normalize { auto {} }", "channels get mean 0 and deviation 1, by the training pictures"});
    lines.push_back(
        {fmt::format("augment {{ flip: true {}}}", Exact() ? "shift: 2 " : "random_resized_crop { min_area: 0.5 } "),
         "each epoch sees them otherwise; without flip where left and right matter"});
    draft.recipe += Lay(lines, 2) + "}\n\n" + ModelOfPictures(pictures);
    draft.answer = fmt::format("predict {{run}} {} --out answers.csv", options_.path);
    const auto [least, most] = std::minmax_element(counts_.begin(), counts_.end());
    if (*most > 10 * *least)
      draft.notes.push_back(
          fmt::format("classes are of very different sizes, {} to {} pictures: look at recall by class "
                      "(lockstep eval), not at accuracy alone",
                      *least, *most));
    return draft;
  }

 private:
  /// Pictures stay as they are.
  bool Exact() const { return sizes_.same && std::max(sizes_.height, sizes_.width) <= 64; }

  void LookAtSizes() {
    std::vector<int64_t> shorts;
    const uint64_t pictures = walked_.list.names.size();
    const uint64_t step = std::max<uint64_t>(1, pictures / kLookedAt);
    for (uint64_t i = 0; i < pictures; i += step) {
      const std::string path = options_.path + "/" + std::string(walked_.list.names[i]);
      const data::ImageHeader header =
          data::ReadImageHeader(data::LoadSourceFile({path, "DATA"}, data::Kinds::kAny), {path, "DATA"});
      if (shorts.empty()) sizes_.height = header.height, sizes_.width = header.width;
      sizes_.same &= header.height == sizes_.height && header.width == sizes_.width;
      shorts.push_back(std::min(header.height, header.width));
    }
    std::sort(shorts.begin(), shorts.end());
    sizes_.short_side = shorts[shorts.size() / 2];
  }

  std::string ClassesText() const {
    constexpr size_t kMostNamed = 6;
    std::vector<std::string> parts;
    for (size_t i = 0; i < std::min(kMostNamed, counts_.size()); ++i)
      parts.push_back(fmt::format("{} ({})", walked_.list.class_names[i], counts_[i]));
    return fmt::format("a folder a class: {}{}", fmt::join(parts, ", "), parts.size() < counts_.size() ? ", ..." : "");
  }

  int64_t Side() const { return sizes_.short_side <= 48 ? 32 : sizes_.short_side <= 400 ? 64 : 128; }

  DraftLine PicturesLine() const {
    if (Exact())
      return {fmt::format("pictures {{ height: {} width: {} }}", sizes_.height, sizes_.width), "as all of them are"};
    return {fmt::format("pictures {{ height: {} }}", Side()),
            fmt::format("theirs: about {} pixels; more here see more, and take longer (224 is usual on GPUs)",
                        sizes_.short_side)};
  }

  const DraftOptions& options_;
  const data::WalkedFolder walked_;
  std::vector<uint64_t> counts_;
  Sizes sizes_;
};

}  // namespace

std::string ModelOfPictures(uint64_t pictures) {
  const auto trained = 0.8 * static_cast<double>(pictures);
  uint64_t batch = 8;
  while (batch < 64 && static_cast<double>(batch) * 16 <= trained) batch *= 2;
  const auto epochs =
      static_cast<uint64_t>(std::clamp(std::ceil(1000.0 * static_cast<double>(batch) / trained), 5.0, 40.0));
  std::string text = "model {\n";
  text += Lay({{fmt::format("resnet {{ depth: {} }}", pictures < 20000 ? 8 : 14),
                "small enough for CPUs; 18, 34 and 50 are ImageNet's"}},
              2);
  text += "}\n\ntrain {\n";
  text += Lay({{fmt::format("epochs: {}", epochs), "passes over the training pictures"},
               {fmt::format("global_batch: {}", batch), "pictures of a step, all ranks together"},
               {"seed: 1", "another seed, another run"}},
              2);
  text += "}\n\noptimizer {\n";
  text += Lay({{"sgd { momentum: 0.9 nesterov: true }"},
               {fmt::format("learning_rate: {}", batch >= 64 ? "0.05" : "0.02")},
               {"weight_decay: 5e-4"},
               {"schedule { cosine {} warmup_fraction: 0.1 }", "the rate falls to 0 at the end"}},
              2);
  return text + "}\n\ncheckpoint { every_minutes: 10 }\n";
}

Draft DraftPictures(const DraftOptions& options) { return PictureDrafter(options).Make(); }

}  // namespace lockstep::launch
