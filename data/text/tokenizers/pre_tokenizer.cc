#include "data/text/tokenizers/pre_tokenizer.h"

#include <algorithm>

#include "data/utf8.h"

namespace lockstep::data {
namespace {

struct Range {
  size_t begin, end;
  bool match;
};

/// Calls `take` with matches and what lies between them, in order. An empty match only cuts.
template <typename Take>
void EachRange(const SplitStep& step, std::string_view text, RegexMemory& memory, const Take& take) {
  size_t done = 0, from = 0, begin = 0, end = 0;
  while (from <= text.size() && step.regex->Find(text, from, memory, begin, end)) {
    if (begin > done) take(Range{done, begin, step.invert});
    if (end > begin) take(Range{begin, end, !step.invert});
    done = end;
    from = end > begin ? end : end < text.size() ? end + CharacterAt(text, end).bytes : end + 1;
  }
  if (done < text.size()) take(Range{done, text.size(), step.invert});
}

std::vector<Range> Merged(std::vector<Range> ranges, SplitStep::Behavior behavior) {
  const bool backward = behavior == SplitStep::Behavior::kMergedWithNext;
  if (backward) std::reverse(ranges.begin(), ranges.end());
  std::vector<Range> merged;
  bool previous_match = false;
  for (const Range& range : ranges) {
    const bool join =
        behavior == SplitStep::Behavior::kContiguous ? range.match == previous_match : range.match && !previous_match;
    previous_match = range.match;
    if (!join || merged.empty()) {
      merged.push_back(range);
    } else if (backward) {
      merged.back().begin = range.begin;
    } else {
      merged.back().end = range.end;
    }
  }
  if (backward) std::reverse(merged.begin(), merged.end());
  return merged;
}

void Cut(const SplitStep& step, std::string_view text, RegexMemory& memory, const PreTokenizer::Emit& emit) {
  using Behavior = SplitStep::Behavior;
  const auto emit_range = [&](const Range& range) { emit(text.substr(range.begin, range.end - range.begin)); };
  if (step.behavior == Behavior::kIsolated) return EachRange(step, text, memory, emit_range);
  if (step.behavior == Behavior::kRemoved) {
    return EachRange(step, text, memory, [&](const Range& range) {
      if (!range.match) emit_range(range);
    });
  }
  std::vector<Range> ranges;
  EachRange(step, text, memory, [&](const Range& range) { ranges.push_back(range); });
  for (const Range& range : Merged(std::move(ranges), step.behavior)) emit_range(range);
}

}  // namespace

void PreTokenizer::Run(size_t index, std::string_view text, RegexMemory& memory, const Emit& emit) const {
  if (text.empty()) return;
  if (index == steps_.size()) return emit(text);
  const SplitStep& step = steps_[index];
  std::string prefixed;
  if (step.prefix_space && text[0] != ' ') {
    prefixed.reserve(text.size() + 1);
    prefixed.append(" ").append(text);
    text = prefixed;
  }
  if (!step.regex) return Run(index + 1, text, memory, emit);
  if (index + 1 == steps_.size()) return Cut(step, text, memory, emit);
  Cut(step, text, memory, [&](std::string_view piece) { Run(index + 1, piece, memory, emit); });
}

void PreTokenizer::AddTo(Hasher& hasher) const {
  hasher.AddInteger(steps_.size());
  for (const SplitStep& step : steps_) {
    hasher.AddInteger(step.pattern.size());
    hasher.Add(step.pattern);
    hasher.AddInteger(static_cast<uint64_t>(step.behavior) << 3 | uint64_t{step.regex.has_value()} << 2 |
                      uint64_t{step.invert} << 1 | uint64_t{step.prefix_space});
  }
}

}  // namespace lockstep::data
