#include "launch/draft/draft_arrays.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "data/formats/load_array.h"
#include "launch/draft/draft_pictures.h"
#include "launch/draft/draft_table.h"

namespace lockstep::launch {
namespace {

// In this order: of training data apart from others, then of all there are. Upper and lower case are one.
constexpr std::string_view kInputs[] = {"x_train", "train_x",  "train_images", "train_data", "x",
                                        "inputs",  "features", "images",       "data"};
constexpr std::string_view kAnswers[] = {"y_train", "train_y", "train_labels", "train_targets", "y",
                                         "labels",  "label",   "targets",      "target",        "classes"};
constexpr std::string_view kTestInputs[] = {"x_test", "test_x", "test_images", "test_data"};
constexpr std::string_view kTestAnswers[] = {"y_test", "test_y", "test_labels", "test_targets"};

std::string Lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::tolower(c); });
  return text;
}

class ArrayDrafter {
 public:
  explicit ArrayDrafter(const DraftOptions& options)
      : options_(options), names_(loader_.Names({options.path, "DATA"})) {}

  Draft Make() {
    const std::optional<std::string> inputs = Find(kInputs), answers = Find(kAnswers);
    if (!inputs || !answers)
      throw Error(ErrorKind::kUsage, fmt::format("no array in it is called as {} are", inputs ? "labels" : "inputs"),
                  options_.path, fmt::format("call them x and y; it has {}", fmt::join(names_, ", ")));
    const data::NpyHeader form = Load(*inputs), answer = Load(*answers);
    const bool pictures = form.shape.size() > 2, classes = answer.kind != 'f';
    const uint64_t samples = form.shape.empty() ? 0 : static_cast<uint64_t>(form.shape[0]);
    Draft draft;
    draft.recipe = DraftHead(fmt::format("Written by lockstep new for {}: {} samples.",
                                         std::filesystem::path(options_.path).filename().string(), samples));
    draft.recipe += fmt::format("name: {}\n\ndata {{\n", Quoted(options_.name));
    draft.recipe += Part("train", *inputs, *answers, classes, ShapeText(form));
    const std::optional<std::string> test = Find(kTestInputs), test_answers = Find(kTestAnswers);
    std::vector<DraftLine> lines;
    if (test && test_answers) {
      draft.recipe += Part("test", *test, *test_answers, classes, "");
    } else {
      lines.push_back({"split { test: 0.2 }", classes ? "a fifth of the samples of each class is kept to test on"
                                                      : "a fifth of the samples is kept to test on"});
    }
    lines.push_back({"normalize { auto {} }", pictures
                                                  ? "channels get mean 0 and deviation 1, by the training samples"
                                                  : "columns get mean 0 and deviation 1, by the training samples"});
    draft.recipe += Lay(lines, 2) + "}\n\n" + (pictures ? ModelOfPictures(samples) : ModelOfRows(samples));
    draft.answer = fmt::format("predict {{run}} {}:{} --out answers.csv", options_.path, test.value_or(*inputs));
    return draft;
  }

 private:
  template <size_t n>
  std::optional<std::string> Find(const std::string_view (&wanted)[n]) const {
    for (const std::string_view name : wanted)
      for (const std::string& there : names_)
        if (Lower(there) == name) return there;
    return std::nullopt;
  }

  data::NpyHeader Load(const std::string& name) {
    return loader_.Load({fmt::format("{}:{}", options_.path, name), "DATA"}).array.header;
  }

  static std::string ShapeText(const data::NpyHeader& header) {
    return fmt::format("{} of {}", fmt::join(header.shape, " x "), header.descr);
  }

  std::string Part(const char* split, const std::string& inputs, const std::string& answers, bool classes,
                   const std::string& why) const {
    const auto path = [&](const std::string& name) {
      return PathIn(options_.folder, fmt::format("{}:{}", options_.path, name));
    };
    return fmt::format("  {} {{\n    arrays {{\n", split) +
           Lay({{fmt::format("inputs: {}", path(inputs)), why},
                {fmt::format("{}: {}", classes ? "labels" : "targets", path(answers)),
                 why.empty() ? ""
                 : classes   ? "integers or words: classes"
                             : "floats: values to be predicted"}},
               6) +
           "    }\n  }\n";
  }

  const DraftOptions& options_;
  data::ArrayLoader loader_;
  const std::vector<std::string> names_;
};

}  // namespace

Draft DraftArrays(const DraftOptions& options) { return ArrayDrafter(options).Make(); }

}  // namespace lockstep::launch
