#include "launch/commands/diff_command.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <bit>
#include <cstring>
#include <filesystem>
#include <map>
#include <memory>
#include <set>
#include <vector>

#include "base/error.h"
#include "base/files/file.h"
#include "base/shape.h"
#include "launch/commands/commands.h"
#include "trainer/checkpoint/checkpoint.h"
#include "trainer/records/certificate.h"

namespace lockstep::launch {
namespace {

using checkpoint::Manifest;
using checkpoint::Reader;

/// As many elements as are held at once, of each side.
constexpr int64_t kBlock = 1 << 20;

std::vector<const checkpoint::Tensor*> ByOffset(const Manifest& manifest) {
  std::vector<const checkpoint::Tensor*> tensors;
  for (const checkpoint::Tensor& tensor : manifest.tensors()) tensors.push_back(&tensor);
  std::sort(tensors.begin(), tensors.end(), [](const auto* a, const auto* b) { return a->offset() < b->offset(); });
  return tensors;
}

/// The tensor that `element` of an array belongs to; nullptr for the padding between them.
const checkpoint::Tensor* TensorAt(const std::vector<const checkpoint::Tensor*>& tensors, int64_t element) {
  const auto after =
      std::upper_bound(tensors.begin(), tensors.end(), element,
                       [](int64_t at, const checkpoint::Tensor* tensor) { return at < tensor->offset(); });
  if (after == tensors.begin()) return nullptr;
  const checkpoint::Tensor* tensor = *std::prev(after);
  return element < tensor->offset() + checkpoint::ElementsOf(*tensor) ? tensor : nullptr;
}

/// "conv1.weight[3, 0, 0, 1]".
std::string ElementText(const checkpoint::Tensor* tensor, int64_t element) {
  if (!tensor) return fmt::format("padding at element {}", element);
  std::vector<int64_t> indices(static_cast<size_t>(tensor->shape_size()));
  int64_t rest = element - tensor->offset();
  for (int dim = tensor->shape_size() - 1; dim >= 0; --dim) {
    indices[static_cast<size_t>(dim)] = rest % tensor->shape(dim);
    rest /= tensor->shape(dim);
  }
  return tensor->name() + Shape(indices).ToString();
}

std::string LayoutText(const Manifest& manifest) {
  std::string text = fmt::format("{} elements", manifest.arena_elements());
  for (const checkpoint::Tensor* tensor : ByOffset(manifest))
    text += fmt::format("\n{} {} at {}{}", tensor->name(), checkpoint::ShapeOf(*tensor).ToString(), tensor->offset(),
                        tensor->statistic() ? " (statistic)" : "");
  return text;
}

/// The first line in which two texts differ, as "A has ..., B has ...".
std::string FirstDifferentLine(const std::string& a, const std::string& b) {
  size_t begin = 0, i = 0;
  for (; i < a.size() && i < b.size() && a[i] == b[i]; ++i)
    if (a[i] == '\n') begin = i + 1;
  const auto line = [&](const std::string& text) {
    return begin >= text.size() ? "nothing more" : text.substr(begin, text.find('\n', begin) - begin);
  };
  return fmt::format("A has {}, B has {}", line(a), line(b));
}

/// One line for array `name`; empty where both sides have the same bits.
std::string CompareArray(const Reader& a, const Reader& b, const std::string& name) {
  const int in_a = a.ArrayIndex(name), in_b = b.ArrayIndex(name);
  const auto tensors = ByOffset(a.manifest());
  int64_t differing = 0, first = -1;
  float first_a = 0, first_b = 0;
  std::set<const checkpoint::Tensor*> touched;
  std::vector<float> block_a, block_b;
  for (int64_t begin = 0; begin < a.manifest().arena_elements(); begin += kBlock) {
    const auto size = static_cast<size_t>(std::min(kBlock, a.manifest().arena_elements() - begin));
    block_a.resize(size);
    block_b.resize(size);
    a.Read(in_a, begin, block_a);
    b.Read(in_b, begin, block_b);
    if (std::memcmp(block_a.data(), block_b.data(), size * sizeof(float)) == 0) continue;
    for (size_t i = 0; i < size; ++i) {
      if (std::bit_cast<uint32_t>(block_a[i]) == std::bit_cast<uint32_t>(block_b[i])) continue;
      const int64_t element = begin + static_cast<int64_t>(i);
      if (differing++ == 0) {
        first = element;
        first_a = block_a[i];
        first_b = block_b[i];
      }
      touched.insert(TensorAt(tensors, element));
    }
  }
  if (differing == 0) return "";
  return fmt::format("{}: {} {} in {} {}; the first is {}: {} (0x{:08x}) and {} (0x{:08x})", name, differing,
                     differing == 1 ? "element differs" : "elements differ", touched.size(),
                     touched.size() == 1 ? "tensor" : "tensors", ElementText(TensorAt(tensors, first), first), first_a,
                     std::bit_cast<uint32_t>(first_a), first_b, std::bit_cast<uint32_t>(first_b));
}

/// Doubles are compared by bits too: equal loss means the same loss.
std::string DoubleText(double value) { return fmt::format("{} (0x{:016x})", value, std::bit_cast<uint64_t>(value)); }

std::map<std::string, std::string> LoopFields(const Manifest& manifest) {
  const checkpoint::LoopState& loop = manifest.loop();
  std::string ledger;
  for (const char byte : loop.ledger()) ledger += fmt::format("{:02x}", static_cast<uint8_t>(byte));
  std::map<std::string, std::string> fields = {
      {"step", std::to_string(manifest.step())},
      {"updates applied", std::to_string(loop.updates_applied())},
      {"ledger", ledger},
      {"best score", loop.has_best() ? DoubleText(loop.best_score()) : "none"},
      {"best step", std::to_string(loop.best_step())},
      {"evaluations without gain", std::to_string(loop.evaluations_without_gain())},
      {"stopped early", loop.stopped_early() ? "yes" : "no"}};
  for (const checkpoint::Evaluation& evaluation : loop.evaluations()) {
    const std::string prefix = "evaluation of " + evaluation.split() + ", ";
    fields[prefix + "step"] = std::to_string(evaluation.step());
    fields[prefix + "loss"] = DoubleText(evaluation.loss());
    for (const auto& [name, value] : evaluation.metrics()) fields[prefix + name] = DoubleText(value);
  }
  return fields;
}

/// Whether a field of the loop's state says no more than which checkpoints to keep. (With early stopping, which keeps
/// the best weights in an array of their own, the same fields steer the run.)
bool IsAboutKeeping(const std::string& field, const Reader& a, const Reader& b) {
  if (a.ArrayIndex("best") >= 0 || b.ArrayIndex("best") >= 0) return false;
  return field == "best score" || field == "best step" || field == "evaluations without gain";
}

/// What differs, a line each.
struct Differences {
  std::vector<std::string> state;
  std::vector<std::string> keeping;  ///< which changes neither weights nor steps
  bool weights = false;              ///< whether any of `state` is about weights
};

void CompareLoops(const Reader& reader_a, const Reader& reader_b, Differences& differences) {
  const Manifest &a = reader_a.manifest(), &b = reader_b.manifest();
  const auto fields_a = LoopFields(a), fields_b = LoopFields(b);
  std::set<std::string> names;
  for (const auto& [name, value] : fields_a) names.insert(name);
  for (const auto& [name, value] : fields_b) names.insert(name);
  const auto value = [](const std::map<std::string, std::string>& fields, const std::string& name) {
    const auto found = fields.find(name);
    return found == fields.end() ? "none" : found->second;
  };
  for (const std::string& name : names) {
    if (value(fields_a, name) == value(fields_b, name)) continue;
    auto& lines = IsAboutKeeping(name, reader_a, reader_b) ? differences.keeping : differences.state;
    lines.push_back(fmt::format("{}: {} and {}", name, value(fields_a, name), value(fields_b, name)));
  }
}

/// Arrays of either side, in A's order.
std::vector<std::string> ArraysOf(const Reader& a, const Reader& b) {
  std::vector<std::string> names(a.manifest().arrays().begin(), a.manifest().arrays().end());
  for (const std::string& name : b.manifest().arrays())
    if (a.ArrayIndex(name) < 0) names.push_back(name);
  return names;
}

Differences Compare(const Reader& a, const Reader& b) {
  Differences differences;
  const std::string layout_a = LayoutText(a.manifest()), layout_b = LayoutText(b.manifest());
  if (layout_a != layout_b) {
    differences.state.push_back("tensors: " + FirstDifferentLine(layout_a, layout_b));
    differences.weights = true;
  } else {
    for (const std::string& name : ArraysOf(a, b)) {
      std::string line;
      if (a.ArrayIndex(name) < 0 || b.ArrayIndex(name) < 0)
        line = fmt::format("{}: only {} has this array", name, b.ArrayIndex(name) < 0 ? "A" : "B");
      else
        line = CompareArray(a, b, name);
      if (line.empty()) continue;
      differences.state.push_back(line);
      differences.weights |= name == a.manifest().arrays(0);
    }
  }
  CompareLoops(a, b, differences);
  return differences;
}

/// The path of the certificate that `path` means: the file itself, or that of a run folder.
std::string CertificatePath(const std::string& path) {
  return std::filesystem::is_directory(path) ? path + "/" + records::kCertificateName : path;
}

int DiffCertificates(const DiffOptions& options) {
  const std::string path_a = CertificatePath(options.a), path_b = CertificatePath(options.b);
  const records::Certificate a = records::ReadCertificate(FileSystem::Real(), path_a);
  const records::Certificate b = records::ReadCertificate(FileSystem::Real(), path_b);
  const records::CertificateDifference difference = records::FirstDifference(a, b);
  const std::vector<uint64_t> steps = records::CommonSteps(a, b);
  if (difference.text.empty() && steps.empty())
    throw Error(ErrorKind::kUsage, "the two certificates have no step in common", path_a,
                "record both at the same steps (lockstep replay --record --every)");
  if (difference.text.empty()) {
    fmt::print("same certificate: {} and {} agree on {} {}, from {} to {}\n", path_a, path_b, steps.size(),
               steps.size() == 1 ? "step" : "steps", steps.front(), steps.back());
    return 0;
  }
  fmt::print("{}\n  A: {}\n  B: {}\n", difference.text, path_a, path_b);
  uint64_t equal = 0;
  for (const uint64_t step : steps)
    if (difference.step && step < *difference.step) equal = step;
  if (equal > 0) fmt::print("the last common step that agrees: {}\n", equal);
  for (const std::string& line : records::DifferentCircumstances(a, b)) fmt::print("they ran with other {}\n", line);
  return 1;
}

}  // namespace

int DiffCommand(const DiffOptions& options) {
  const bool files = std::filesystem::is_regular_file(options.a) || std::filesystem::is_regular_file(options.b);
  if (options.certificates || files) return DiffCertificates(options);
  const std::unique_ptr<Reader> a = checkpoint::OpenPath(FileSystem::Real(), options.a);
  const std::unique_ptr<Reader> b = checkpoint::OpenPath(FileSystem::Real(), options.b);
  const Differences differences = Compare(*a, *b);
  if (differences.state.empty()) {
    fmt::print("same state: {} and {}\n", a->folder(), b->folder());
    for (const std::string& line : differences.keeping) fmt::print("but for what is kept as the best: {}\n", line);
    return 0;
  }
  fmt::print("different state{}:\n  A: {}\n  B: {}\n", differences.weights ? "" : " (equal weights)", a->folder(),
             b->folder());
  for (const auto* lines : {&differences.state, &differences.keeping})
    for (const std::string& line : *lines) fmt::print("{}\n", line);
  return 1;
}

void AddDiffCommand(CLI::App& app, int* exit_code) {
  CLI::App* command = app.add_subcommand(
      "diff",
      "Compare the state in two checkpoints bit by bit, or two certificates; exit 0 (the same) or 1 (different)");
  auto options = std::make_shared<DiffOptions>();
  command
      ->add_option("A", options->a,
                   "a run folder (its newest good checkpoint), a checkpoint folder or a certificate.json")
      ->required();
  command->add_option("B", options->b, "the other")->required();
  command->add_flag("--certificates", options->certificates, "compare the certificates of two run folders");
  command->footer(
      "All arrays and the loop's state are compared; on how many ranks and in which attempt they were written is not, "
      "and\n"
      "which checkpoints are kept as the best (checkpoint { when: BEST }) makes no difference.\n"
      "Examples:\n"
      "  lockstep diff runs/one-rank runs/five-ranks\n"
      "  lockstep diff runs/a/checkpoints/step-00000300 runs/b/checkpoints/step-00000300\n"
      "  lockstep diff --certificates runs/a runs/b");
  command->callback([options, exit_code] { *exit_code = DiffCommand(*options); });
}

}  // namespace lockstep::launch
