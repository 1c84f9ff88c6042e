#include "launch/recipe/suggestions.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <functional>
#include <set>
#include <sstream>
#include <tuple>

#include "launch/recipe/other_names.h"
#include "launch/recipe/recipe_fields.h"

namespace lockstep::launch {
namespace {

constexpr size_t kMost = 3;
// Mistakes: of a misspelled word at most so many; of a word's beginning; of another word.
constexpr int kMostMistakes = 3, kBeginning = 4, kFar = 1 << 20;

std::string Normalized(std::string word) {
  for (char& c : word) c = c == '-' ? '_' : static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return word;
}

/// How many mistakes a word of so many letters may have.
int Tolerance(size_t letters) { return letters < 3 ? 0 : letters < 6 ? 1 : letters < 9 ? 2 : kMostMistakes; }

/// The mistakes that make `candidate` of `word`, both normalized; kFar where they are too many. The beginning of a word
/// counts as near, behind misspellings.
int Mistakes(const std::string& word, const std::string& candidate) {
  const int distance = EditDistance(word, candidate);
  if (distance <= Tolerance(std::min(word.size(), candidate.size()))) return distance;
  constexpr size_t kShortestBeginning = 3;
  return word.size() >= kShortestBeginning && candidate.starts_with(word) ? kBeginning : kFar;
}

/// How many of the first names of two paths are the same.
int SharedNames(const std::string& a, const std::string& b) {
  int shared = 0;
  for (size_t i = 0; i < a.size() && i < b.size() && a[i] == b[i]; ++i) {
    const bool a_ends = i + 1 == a.size() || a[i + 1] == '.', b_ends = i + 1 == b.size() || b[i + 1] == '.';
    shared += a_ends && b_ends;
  }
  return shared;
}

const std::vector<FieldPath>& RecipeFields() {
  static const std::vector<FieldPath> kFields = AllFieldPaths(*Recipe::descriptor());
  return kFields;
}

std::string ParentOf(const std::string& path) { return path.substr(0, path.rfind('.') + 1); }

bool LiesIn(const std::string& path, const std::string& where) {
  return ParentOf(path) == (where.empty() ? "" : where + ".");
}

/// Paths to fields whose names are like `name`, of those that `may` be meant: the ones with the fewest mistakes, which
/// are at most `most`. First those that share most with `where`, then the less deep. Of a field that has several paths,
/// the first.
std::vector<std::string> FieldsLike(const std::string& name, const std::string& where, int most,
                                    const std::function<bool(const FieldPath&)>& may) {
  struct Candidate {
    const FieldPath* path;
    int mistakes;
  };
  std::vector<Candidate> candidates;
  for (const FieldPath& path : RecipeFields())
    if (const int mistakes = Mistakes(name, Normalized(path.field->name())); mistakes <= most && may(path))
      candidates.push_back({&path, mistakes});
  std::stable_sort(candidates.begin(), candidates.end(), [&](const Candidate& a, const Candidate& b) {
    const auto key = [&](const Candidate& c) {
      const std::string& path = c.path->path;
      return std::tuple(c.mistakes, -SharedNames(path, where), std::count(path.begin(), path.end(), '.'));
    };
    return key(a) < key(b);
  });
  std::vector<std::string> found;
  std::set<const google::protobuf::FieldDescriptor*> seen;
  for (const Candidate& candidate : candidates)
    if (candidate.mistakes == candidates.front().mistakes && seen.insert(candidate.path->field).second)
      found.push_back(candidate.path->path);
  return found;
}

/// Whether the recipe has the message that the field at `path` lies in.
bool HasParentOf(const Recipe& recipe, const std::string& path) {
  const google::protobuf::Message* message = &recipe;
  std::istringstream names(ParentOf(path));
  for (std::string name; std::getline(names, name, '.');) {
    const google::protobuf::FieldDescriptor* field = message->GetDescriptor()->FindFieldByName(name);
    if (field == nullptr || field->is_repeated() || !message->GetReflection()->HasField(*message, field)) return false;
    message = &message->GetReflection()->GetMessage(*message, field);
  }
  return true;
}

/// Those that lie in what the recipe has, or all where none does; at most kMost.
std::vector<std::string> OfRecipe(std::vector<std::string> paths, const Recipe& recipe) {
  std::vector<std::string> there;
  std::copy_if(paths.begin(), paths.end(), std::back_inserter(there),
               [&](const std::string& path) { return HasParentOf(recipe, path); });
  if (!there.empty()) paths = there;
  if (paths.size() > kMost) paths.resize(kMost);
  return paths;
}

bool IsNamable(const FieldPath& path) { return !path.in_list; }

}  // namespace

int EditDistance(const std::string& from, const std::string& to) {
  const size_t rows = from.size() + 1, columns = to.size() + 1;
  std::vector<int> table(rows * columns);
  const auto at = [&](size_t row, size_t column) -> int& { return table[row * columns + column]; };
  for (size_t i = 0; i < rows; ++i) at(i, 0) = static_cast<int>(i);
  for (size_t j = 0; j < columns; ++j) at(0, j) = static_cast<int>(j);
  for (size_t i = 1; i < rows; ++i)
    for (size_t j = 1; j < columns; ++j) {
      const int other = from[i - 1] == to[j - 1] ? 0 : 1;
      at(i, j) = std::min({at(i - 1, j) + 1, at(i, j - 1) + 1, at(i - 1, j - 1) + other});
      if (i > 1 && j > 1 && from[i - 1] == to[j - 2] && from[i - 2] == to[j - 1])
        at(i, j) = std::min(at(i, j), at(i - 2, j - 2) + 1);
    }
  return at(rows - 1, columns - 1);
}

std::string Nearest(const std::string& word, const std::vector<std::string>& candidates) {
  std::string nearest;
  int fewest = kFar;
  for (const std::string& candidate : candidates) {
    const int mistakes = Mistakes(Normalized(word), Normalized(candidate));
    if (mistakes >= fewest) continue;
    fewest = mistakes;
    nearest = candidate;
  }
  return nearest;
}

std::vector<std::string> FieldsNamed(const std::string& name) {
  std::vector<std::string> meant = FieldsOfOtherName(Normalized(name));
  if (meant.empty()) meant = FieldsLike(Normalized(name), "", 0, IsNamable);
  return OfRecipe(meant, {});
}

std::vector<std::string> FieldsMeantBy(const std::string& name, const std::string& where, const Recipe& recipe) {
  const std::string word = Normalized(name);
  const std::vector<std::string> known = FieldsOfOtherName(word);
  for (const std::string& path : known)
    if (LiesIn(path, where)) return {path};
  if (!known.empty()) return OfRecipe(known, recipe);
  const auto here =
      FieldsLike(word, where, kMostMistakes, [&](const FieldPath& path) { return LiesIn(path.path, where); });
  if (!here.empty()) return OfRecipe(here, recipe);
  return OfRecipe(FieldsLike(word, where, kBeginning, IsNamable), recipe);
}

std::string ValueMeantBy(const std::string& value, const std::vector<std::string>& values) {
  std::string capitals = value;
  for (char& c : capitals) c = c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  const std::string known = ValueOfOtherName(capitals);
  if (std::find(values.begin(), values.end(), known) != values.end()) return known;
  return Nearest(value, values);
}

std::string DidYouMean(const std::vector<std::string>& meant) {
  if (meant.empty()) return "";
  const std::vector<std::string> first(meant.begin(), meant.end() - 1);
  return fmt::format("did you mean {}{}{}?", fmt::join(first, ", "), first.empty() ? "" : " or ", meant.back());
}

std::string DidYouMean(const std::string& meant) {
  return meant.empty() ? "" : DidYouMean(std::vector<std::string>{meant});
}

}  // namespace lockstep::launch
