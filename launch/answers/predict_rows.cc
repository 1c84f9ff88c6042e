#include "launch/answers/predict_rows.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <span>
#include <utility>

#include "base/error.h"
#include "data/memory_dataset.h"
#include "data/open/make_transform.h"
#include "data/source_file.h"
#include "data/table/csv.h"
#include "launch/answers/answer_names.h"
#include "launch/answers/input_lines.h"

namespace lockstep::launch {
namespace {

AnswerColumns ColumnsOf(const TrainedRun& run, const data::Csv& config) {
  AnswerColumns columns;
  if (!config.id().empty()) columns.id = config.id();
  if (run.shape.classes > 0) {
    columns.classes = ClassNamesOf(run.recipe.data(), run.shape);
    return columns;
  }
  columns.targets = TargetNamesOf(run.recipe.data(), run.shape);
  return columns;
}

/// Reads rows as the training rows were read, answers them, and hands the lines on.
class RowPredictor {
 public:
  RowPredictor(const TrainedRun& run, const RowsOptions& options)
      : run_(run),
        options_(options),
        config_(run.recipe.data().train().csv()),
        writer_(options.format, ColumnsOf(run, config_)) {
    csv_.table = &run.recipe.data().table();
    csv_.unlabeled = true;
  }

  std::string Heading() const { return writer_.Heading(); }

  /// The answers to all rows of `text`. `header_lines`: of this text; none: it is found whether there is a heading.
  std::string Answer(std::span<const std::byte> text, const data::Origin& origin, std::optional<int> header_lines) {
    data::Csv config = config_;
    config.clear_header_lines();
    if (header_lines) config.set_header_lines(static_cast<uint32_t>(*header_lines));
    data::Records records = data::ReadCsv(text, config, origin, csv_);
    const std::vector<std::string> names = std::move(records.names);
    const data::MemoryDataset rows(std::move(records), {});
    const std::shared_ptr<const data::Transform> transform =
        data::MakeTransform(rows.fields(), data::ForAnswers(run_.recipe.data()), run_.recipe.train().seed());
    const std::vector<float> answers = AnswerAll(rows, transform);
    const size_t outputs = answers.size() / rows.size();
    std::string lines;
    for (uint64_t row = 0; row < rows.size(); ++row)
      lines += writer_.Line(names.empty() ? std::to_string(answered_ + row + 1) : names[row],
                            std::span(answers).subspan(row * outputs, outputs));
    answered_ += rows.size();
    return lines;
  }

  /// Whether a line is the heading of what follows: it has the features' names.
  bool IsHeading(const std::string& line) const {
    const data::Table& table = run_.recipe.data().table();
    return table.columns_size() > 0 &&
           std::any_of(table.columns().begin(), table.columns().end(), [&](const data::TableColumn& column) {
             return column.name().find_first_not_of("0123456789") != std::string::npos &&
                    line.find(column.name()) != std::string::npos;
           });
  }

 private:
  std::vector<float> AnswerAll(const data::MemoryDataset& rows,
                               const std::shared_ptr<const data::Transform>& transform) {
    const infer::AnswerForm form = AnswerFormOf(run_);
    if (rows.size() > 1) return infer::PredictAll(*run_.model, transform, form, rows, options_.threads);
    if (single_ == nullptr) single_ = std::make_unique<infer::Predictor>(*run_.model, transform, form, 1);
    std::vector<float> answers(single_->outputs());
    single_->Answer(rows, 0, 1, answers);
    return answers;
  }

  const TrainedRun& run_;
  const RowsOptions& options_;
  const data::Csv& config_;
  const AnswerWriter writer_;
  data::CsvOptions csv_;
  std::unique_ptr<infer::Predictor> single_;  ///< of rows that come alone
  uint64_t answered_ = 0;
};

/// Each line is answered as it comes.
void AnswerStandardInput(RowPredictor& predictor, const std::function<void(const std::string&)>& take) {
  std::string heading;
  ForEachInputLine([&](uint64_t, const std::string& line) {
    if (line.find_first_not_of(" \t\r") == std::string::npos || line.starts_with('#')) return;
    if (heading.empty() && predictor.IsHeading(line)) {
      heading = line + "\n";
      return;
    }
    const std::string text = heading + line + "\n";
    take(predictor.Answer(std::as_bytes(std::span(text)), {"standard input", "INPUT"}, heading.empty() ? 0 : 1));
  });
}

}  // namespace

void PredictRows(const TrainedRun& run, const RowsOptions& options,
                 const std::function<void(const std::string& lines)>& take) {
  RowPredictor predictor(run, options);
  take(predictor.Heading());
  for (const std::string& path : options.inputs) {
    if (path == "-") {
      AnswerStandardInput(predictor, take);
    } else {
      const data::Origin origin{path, "INPUT"};
      take(predictor.Answer(data::LoadSourceFile(origin), origin, std::nullopt));
    }
  }
}

}  // namespace lockstep::launch
