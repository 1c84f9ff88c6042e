// What the small files of a run's folder say, as values; who writes and who reads them share these
// (docs/run-folder.md).
//
// Reading is tolerant: a field that is missing or of another type (a crash, another version) has its default value.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace lockstep::records {

/// A start of the run: a row of attempts.jsonl.
struct AttemptStart {
  uint32_t number = 0;
  std::string host;  ///< of rank 0
  int ranks = 0;
  uint64_t from_step = 0;
  std::string build_hash;
  std::map<std::string, std::string> numerics;  ///< the numerics fingerprint
  /// Of each split, its fingerprint; empty in rows of versions that did not note it.
  std::map<std::string, std::string> data = {};
  /// What of the recipe changed with this start: "optimizer.learning_rate: 0.001 -> 0.0001".
  std::vector<std::string> changed = {};
};
/// With a line break; `time` in seconds since 1970.
std::string FormatAttempt(const AttemptStart& attempt, int64_t time);
std::vector<AttemptStart> ParseAttempts(std::string_view text);
/// The highest number that was given in attempts.jsonl, also where its row is damaged by now; 0: none.
uint32_t LastAttemptNumber(std::string_view text);

/// How an attempt ended: verdict.json.
struct AttemptEnding {
  uint32_t attempt = 0;
  std::optional<ErrorKind> kind;  ///< none where it is done
  int exit_code = 0;
  std::string message, where;
  uint64_t step = 0;
  std::string text;  ///< the file as it is: two endings are the same one where these are equal
};
std::string FormatEnding(const AttemptEnding& ending, int64_t time);
/// Nothing where the text is no verdict. A kind that this version does not know, or of a file without one, follows from
/// the exit code.
std::optional<AttemptEnding> ParseEnding(std::string_view text);

/// The end of a finished run: done.json.
struct RunDone {
  std::string line;
  std::string identity_hash;
  uint64_t step = 0;
};
std::string FormatDone(const RunDone& done);
/// Nothing where the text does not say all of it.
std::optional<RunDone> ParseDone(std::string_view text);

}  // namespace lockstep::records
