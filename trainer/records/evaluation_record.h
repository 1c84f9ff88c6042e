// evaluation.json in a run's folder: what the answers of a trained model are worth in detail, as `lockstep eval` found,
// and which of them were worst. `lockstep report` shows it (docs/run-folder.md).
//
// Reading is tolerant: what is missing or of another form is not there.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/files/file.h"
#include "base/json_fields.h"
#include "trainer/metrics/classification.h"
#include "trainer/metrics/detection/measure_detections.h"
#include "trainer/metrics/regression.h"

namespace lockstep::records {

/// One of a split's answers, a bad one.
struct WorstAnswer {
  uint64_t sample = 0;     ///< its place in the split, from 0
  std::string name = "";   ///< of its file, row or the like; may be empty
  std::string text = "";   ///< what the model was given, or its beginning; may be empty
  std::string image = "";  ///< what it was given, as a small PNG or JPEG file in base64 (RFC 4648); may be empty
  std::string expected = "", answer = "";
  std::optional<double> probability = std::nullopt;  ///< that the model gave its answer
  std::optional<double> loss = std::nullopt;
  /// Of a text: its character error rate, or its chrF; of a picture with boxes: what is missed or wrong in it.
  std::optional<double> score = std::nullopt;
};

struct SplitRecord {
  std::string split;  ///< "test", "validation", ...
  uint64_t step = 0;  ///< whose weights answered
  uint64_t samples = 0;
  std::map<std::string, double> metrics = {};  ///< of the whole split: "loss", "accuracy", ...
  /// Of a classification: a name for each class, and its measures.
  std::vector<std::string> classes = {};
  std::optional<metrics::Classification> classification = std::nullopt;
  /// Of a regression: a name for each target, and its measures.
  std::vector<std::string> targets = {};
  std::optional<metrics::Regression> regression = std::nullopt;
  /// Of a detection: `classes` has the names of the categories, and its measures.
  std::optional<metrics::DetectionMeasures> detection = std::nullopt;
  std::vector<WorstAnswer> worst = {};  ///< the worst first
  /// What makes them the worst: "loss", "squared error", "cer", "chrf", "errors"; empty: unknown, of older versions.
  std::string worst_by = "";
};

struct EvaluationRecord {
  int64_t time = 0;  ///< seconds since 1970
  std::vector<SplitRecord> splits;
};

/// With a line break. Numbers that are not defined are null.
std::string FormatEvaluation(const EvaluationRecord& record);
/// Nothing where the text is no JSON object.
std::optional<EvaluationRecord> ParseEvaluation(std::string_view text);

/// The measures as JSON objects, as they stand in evaluation.json and in what `lockstep eval --json` prints.
Json ClassificationJson(const metrics::Classification& classification, const std::vector<std::string>& classes);
Json RegressionJson(const metrics::Regression& regression, const std::vector<std::string>& targets);

/// Replaces `folder`/evaluation.json. Splits of the old one that `record` lacks are kept where they are of the same
/// step: eval looks at one split at a time.
void WriteEvaluation(FileSystem& files, const std::string& folder, EvaluationRecord record);

}  // namespace lockstep::records
