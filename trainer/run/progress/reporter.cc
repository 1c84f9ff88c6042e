#include "trainer/run/progress/reporter.h"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <ctime>
#include <map>

#include "base/error.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/terminal.h"

namespace lockstep::run {
namespace {

using std::chrono::steady_clock;

/// The number with as many digits as a metric needs: rows stay readable, and equal at every number of ranks.
double Rounded(double value) { return std::isfinite(value) ? std::stod(fmt::format("{:.9g}", value)) : value; }

/// Since 1970, to the millisecond.
double SecondsNow() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return static_cast<double>(std::chrono::duration_cast<std::chrono::milliseconds>(now).count()) / 1000;
}

/// Seconds with as many digits as a clock has.
double Microseconds(double seconds) { return std::round(seconds * 1e6) / 1e6; }

/// A protobuf map has no order of its own.
std::map<std::string, double> ByName(const checkpoint::Evaluation& evaluation) {
  return {evaluation.metrics().begin(), evaluation.metrics().end()};
}

std::string Clock(double seconds) {
  const auto s = static_cast<int64_t>(seconds);
  if (s >= 3600) return fmt::format("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60);
  return fmt::format("{}:{:02}", s / 60, s % 60);
}

}  // namespace

Reporter::Reporter(Options options) : options_(std::move(options)), start_(steady_clock::now()), shown_(start_) {
  metrics_ = std::fopen(options_.metrics_path.c_str(), "a");
  if (metrics_ == nullptr) throw FileError(errno, "can't write", options_.metrics_path);
  std::setvbuf(metrics_, nullptr, _IONBF, 0);  // each row at once, and no row twice after a failure
}

Reporter::~Reporter() {
  Clear();
  if (lost_rows_ > 0) LogWarning("{}: {} rows could not be written", options_.metrics_path, lost_rows_);
  std::fclose(metrics_);
}

void Reporter::Append(const Json& row) {
  AppendLine(DumpJson(row));
  if (options_.events == nullptr) return;
  const std::string split = TextOr(row, "split", "train");
  records::EventFile::Values values;
  for (const auto& [name, value] : row.items()) {
    const bool is_place = name == "step" || name == "epoch" || name == "attempt" || name == "time";
    if (!is_place && value.is_number()) values.emplace_back(fmt::format("{}/{}", split, name), value.get<double>());
  }
  options_.events->Add(FieldOr<uint64_t>(row, "step", 0), NumberOr(row, "time"), values);
}

void Reporter::AppendLine(const std::string& row) {
  const std::string line = (torn_ ? "\n" : "") + row + "\n";
  errno = 0;
  const size_t written = std::fwrite(line.data(), 1, line.size(), metrics_);
  const int reason = errno;
  if (written == line.size()) {
    torn_ = false;
    return;
  }
  torn_ |= written > 0;
  std::clearerr(metrics_);
  if (++lost_rows_ > 1) return;
  LogWarning("{}; training goes on, and rows are missing there",
             FileError(reason, "can't write", options_.metrics_path).what());
}

void Reporter::Log(const StepRow& row) {
  Json object = {{"step", row.step},
                 {"epoch", Rounded(row.epoch)},
                 {"loss", Rounded(row.loss)},
                 {"learning_rate", Rounded(row.learning_rate)},
                 {"samples_per_s", std::round(row.samples_per_s * 10) / 10},
                 {"grad_norm", Rounded(row.grad_norm)},
                 {"attempt", options_.attempt},
                 {"time", SecondsNow()}};
  if (row.accuracy >= 0) object["accuracy"] = Rounded(row.accuracy);
  if (row.checkpoint_seconds > 0) object["checkpoint_seconds"] = Microseconds(row.checkpoint_seconds);
  if (row.data_seconds > 0) object["data_seconds"] = Microseconds(row.data_seconds);
  if (row.power) {
    object["watts"] = std::round(row.power->watts * 10) / 10;
    object["joules_per_sample"] = Rounded(row.power->joules_per_sample);
  }
  Append(object);
}

void Reporter::Log(const checkpoint::Evaluation& evaluation, double epoch, double seconds) {
  Json object = {{"step", evaluation.step()},
                 {"epoch", Rounded(epoch)},
                 {"split", evaluation.split()},
                 {"loss", Rounded(evaluation.loss())},
                 {"evaluation_seconds", Microseconds(seconds)},
                 {"attempt", options_.attempt},
                 {"time", SecondsNow()}};
  for (const auto& [name, value] : evaluation.metrics()) object[name] = Rounded(value);
  Append(object);
  if (options_.quiet) return;
  std::string text = fmt::format("step {}  epoch {:.2f}  {}: loss {:.4f}", evaluation.step(), epoch, evaluation.split(),
                                 evaluation.loss());
  for (const auto& [name, value] : ByName(evaluation)) text += fmt::format("  {} {:.4f}", name, value);
  PrintLine(text);
}

double EpochsTrained(const optim::RunLength& length, uint64_t step, double asked) {
  const double epochs = length.EpochAt(step);
  for (const double end : {asked, std::ceil(epochs - 1e-9)})
    if (end >= epochs - 1e-9 && (end - epochs) * length.steps_per_epoch < 1) return end;
  return epochs;
}

std::string EpochText(double epochs) {
  const double whole = std::round(epochs);
  if (std::abs(epochs - whole) < 0.005 && (whole > 0 || epochs == 0)) return fmt::format("{:.0f}", whole);
  if (epochs < 0.095) return fmt::format("{:.1g}", epochs);
  std::string text = fmt::format("{:.2f}", epochs);
  return text.ends_with('0') ? text.substr(0, text.size() - 1) : text;
}

std::string StatusText(const StepRow& row, uint64_t total_steps, double total_epochs, double seconds_left,
                       int columns) {
  const std::string step = fmt::format("step {}/{}", row.step, total_steps);
  const std::string epoch = fmt::format("epoch {:.2f}/{}  ", row.epoch, EpochText(total_epochs));
  const std::string loss = fmt::format("  loss {:.4f}", row.loss);
  const std::string accuracy = row.accuracy >= 0 ? fmt::format("  accuracy {:.4f}", row.accuracy) : "";
  const std::string speed = fmt::format("  {:.0f} samples/s", row.samples_per_s);
  const std::string left = fmt::format("  {} left", Clock(seconds_left));
  constexpr int kBar = 24, kShortestBar = 8, kBarsEnds = 3;
  std::string text;
  for (const std::string& fewer : {epoch + step + loss + accuracy + speed + left, epoch + step + loss + accuracy + left,
                                   step + loss + left, step}) {
    text = fewer;
    if (static_cast<int>(text.size()) + kShortestBar + kBarsEnds <= columns) break;
  }
  const int room = std::min(kBar, columns - static_cast<int>(text.size()) - kBarsEnds);
  if (room >= kShortestBar) {
    const auto full = static_cast<size_t>(static_cast<uint64_t>(room) * row.step / std::max<uint64_t>(1, total_steps));
    text = fmt::format("[{}{}] {}", std::string(full, '#'), std::string(room - full, '.'), text);
  }
  return text.substr(0, std::max(0, columns));
}

void Reporter::Progress(const StepRow& row) {
  if (options_.quiet) return;
  if (first_step_ == 0) first_step_ = row.step;
  const auto now = steady_clock::now();
  const double since = std::chrono::duration<double>(now - shown_).count();
  if (since < (options_.terminal ? 0.2 : 5.0)) return;
  shown_ = now;
  const double elapsed = std::chrono::duration<double>(now - start_).count();
  const double pace = row.step > first_step_ ? elapsed / static_cast<double>(row.step - first_step_) : 0;
  const double left = pace * static_cast<double>(options_.total_steps - row.step);
  if (options_.terminal) {
    // A line that fills the last column would wrap.
    ShowStatus(StatusText(row, options_.total_steps, options_.total_epochs, left, TerminalColumns() - 1));
    return;
  }
  const std::string accuracy = row.accuracy >= 0 ? fmt::format("  accuracy {:.4f}", row.accuracy) : "";
  PrintLine(fmt::format("epoch {:.2f}/{}  step {}/{}  loss {:.4f}{}  {:.0f} samples/s  {} left", row.epoch,
                        EpochText(options_.total_epochs), row.step, options_.total_steps, row.loss, accuracy,
                        row.samples_per_s, Clock(left)));
}

void Reporter::Clear() { ClearStatus(); }

std::string Format(const ResultLine& line) {
  // Figures of training samples are called so: a reader takes others for those of a test.
  const char* const prefix = line.evaluation.split() == "train" ? "train_" : "";
  std::string text = fmt::format("{} name={} step={} epoch={} {}loss={:.4f}", line.verb, line.name, line.step,
                                 EpochText(line.epoch), prefix, line.evaluation.loss());
  for (const auto& [name, value] : ByName(line.evaluation)) text += fmt::format(" {}{}={:.4f}", prefix, name, value);
  text += fmt::format(" weights={} samples_per_s={:.0f}", HashText(line.weights), line.samples_per_s);
  if (line.tokens_per_s > 0) text += fmt::format(" tokens_per_s={:.0f}", line.tokens_per_s);
  text += fmt::format(" seconds={:.1f}", line.seconds);
  if (line.best_step > 0) text += fmt::format(" best_step={}", line.best_step);
  return text;
}

}  // namespace lockstep::run
