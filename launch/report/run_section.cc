#include "launch/report/run_section.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <ctime>

#include "base/duration.h"
#include "launch/page/axis.h"
#include "launch/report/evaluation_section.h"
#include "launch/report/overfitting.h"
#include "launch/report/recipe_differences.h"
#include "launch/report/run_charts.h"
#include "launch/report/time_use.h"

namespace lockstep::launch {
namespace {

// Of twenty runs with pictures the page stays below 2 MB.
constexpr size_t kMostFact = 260, kMostStarts = 50, kMostWorstFolded = 6;

std::string DateText(double time) {
  const auto seconds = static_cast<std::time_t>(time);
  std::tm parts{};
  if (time <= 0 || gmtime_r(&seconds, &parts) == nullptr) return "";
  return fmt::format("{:%Y-%m-%d %H:%M} UTC", parts);
}

/// How it ended, in words.
std::string EndingText(const RunRecord& run) {
  std::string text = ProgressText(run);
  if (run.state == "killed") return text + "; it ended without a word";
  if (run.state == "waiting") return "nothing has begun";
  if (run.state == "running" && !run.rows.times.empty())
    text += fmt::format("; last row {} ago", InWords(std::max(0.0, run.now - run.rows.times.back().time)));
  if ((run.state == "failed" || run.state == "stopped") && run.ending) {
    const std::string where = run.ending->where.empty() ? "" : run.ending->where + ": ";
    text += fmt::format("; exit code {}: {}{}", run.ending->exit_code, where, run.ending->message);
  }
  return text;
}

void AddFact(const std::string& name, const std::string& value, HtmlWriter& html) {
  if (value.empty()) return;
  html.Add("dt", name);
  html.Add("dd", value);
}

std::string LengthText(const Recipe& recipe) {
  const auto& train = recipe.train();
  const std::string batch = train.batch_tokens() > 0 ? fmt::format("{} tokens a step", train.batch_tokens())
                                                     : fmt::format("{} samples a step", train.global_batch());
  const std::string length =
      train.steps() > 0 ? fmt::format("{} steps", train.steps()) : fmt::format("{:g} epochs", train.epochs());
  return fmt::format("{}, {}, seed {}", length, batch, train.seed());
}

void DrawFacts(const RunRecord& run, HtmlWriter& html) {
  const auto list = html.Open("dl", {{"class", "facts"}});
  if (run.recipe) {
    const Recipe& recipe = *run.recipe;
    AddFact("Model", OneLine(recipe.model(), kMostFact), html);
    AddFact("Training data", OneLine(recipe.data().train(), kMostFact), html);
    if (recipe.data().has_validation()) AddFact("Validation", OneLine(recipe.data().validation(), kMostFact), html);
    if (recipe.data().has_test()) AddFact("Test", OneLine(recipe.data().test(), kMostFact), html);
    AddFact("Optimizer", OneLine(recipe.optimizer(), kMostFact), html);
    AddFact("Length", LengthText(recipe), html);
    AddFact("Computed",
            fmt::format("{} on {}", plan::Precision::Value_Name(recipe.train().precision()),
                        plan::Device::Value_Name(recipe.train().device())),
            html);
  }
  if (!run.starts.empty()) {
    const RunStart &first = run.starts.front(), &last = run.starts.back();
    std::string started = DateText(first.time);
    if (!run.rows.times.empty() && run.rows.times.back().time > first.time)
      started += fmt::format(", {} up to the last row", InWords(run.rows.times.back().time - first.time));
    if (run.starts.size() > 1) started += fmt::format(", {} starts", run.starts.size());
    AddFact("Started", started, html);
    AddFact("Ranks", fmt::format("{}, rank 0 on {}", last.ranks, last.host), html);
  }
  AddFact("Folder", run.folder, html);
}

void AddTile(const std::string& name, const std::string& value, const std::string& below, HtmlWriter& html) {
  const auto tile = html.Open("div");
  html.Add("dt", name);
  const auto number = html.Open("dd");
  html.AddText(value);
  if (!below.empty()) html.Add("small", below);
}

/// The last value of each measure of each split; of the loss the best too.
void DrawTiles(const RunRecord& run, HtmlWriter& html) {
  if (run.rows.evaluated.empty()) return;
  const auto list = html.Open("dl", {{"class", "tiles"}});
  for (const auto& [split, curves] : run.rows.evaluated)
    for (const std::string& measure : MeasuresOf(run.rows)) {
      const auto curve = curves.find(measure);
      if (curve == curves.end()) continue;
      const Point& last = curve->second.back();
      std::string below = "at step " + NumberText(last.x);
      if (measure == "loss") {
        const auto best = std::min_element(curve->second.begin(), curve->second.end(),
                                           [](const Point& a, const Point& b) { return a.y < b.y; });
        if (best->x < last.x && best->y < last.y)
          below += fmt::format("; best {} at {}", NumberText(best->y), NumberText(best->x));
      }
      AddTile(fmt::format("{} {}", split, measure), NumberText(last.y), below, html);
    }
}

void DrawTimeUse(const RunRecord& run, HtmlWriter& html) {
  const std::vector<TimePart> parts = TimeUse(run);
  double total = 0;
  for (const TimePart& part : parts) total += part.within ? 0 : part.seconds;
  if (total < 1) return;
  html.Add("h3", "Where the time went");
  {
    const auto table = html.Open("table");
    for (const TimePart& part : parts) {
      const auto row = html.Open("tr", {{"class", part.within ? "within" : ""}});
      html.Add("td", part.name);
      html.Add("td", {{"class", "n"}}, InWords(part.seconds));
      const double percent = 100 * part.seconds / total;
      html.Add("td", {{"class", "n"}}, fmt::format("{:.0f}%", percent));
      const auto bar = html.Open("td", {{"class", "bar"}});
      html.Add("span", {{"style", fmt::format("width:{:.1f}%", std::clamp(percent, 0.0, 100.0))}}, "");
    }
  }
  html.Add("p", {{"class", "note"}},
           "From the first start to the last row. The times of rows are whole seconds. Waiting for samples is that of "
           "the rank that waited longest in each step; computing and exchanging gradients are not told apart.");
}

void DrawStarts(const RunRecord& run, HtmlWriter& html) {
  if (run.starts.size() < 2) return;
  html.Add("h3", "Starts");
  const auto scroll = html.Open("div", {{"class", "scroll"}});
  const auto table = html.Open("table");
  {
    const auto row = html.Open("tr");
    for (const char* name : {"start", "when", "from step", "ranks", "rank 0 on", "how it ended"}) html.Add("th", name);
  }
  // Of very many the newest.
  for (size_t i = run.starts.size() > kMostStarts ? run.starts.size() - kMostStarts : 0; i < run.starts.size(); ++i) {
    const RunStart& start = run.starts[i];
    const auto row = html.Open("tr");
    html.Add("td", std::to_string(start.attempt));
    html.Add("td", DateText(start.time));
    html.Add("td", {{"class", "n"}}, NumberText(static_cast<double>(start.from_step)));
    html.Add("td", {{"class", "n"}}, std::to_string(start.ranks));
    html.Add("td", start.host);
    html.Add("td", start.ending);
  }
}

void DrawRecipe(const RunRecord& run, HtmlWriter& html) {
  if (run.recipe_text.empty()) return;
  const auto details = html.Open("details");
  html.Add("summary", "Recipe, as it was resolved");
  html.Add("pre", run.recipe_text);
}

}  // namespace

std::string ProgressText(const RunRecord& run) {
  if (run.rows.times.empty()) return run.starts.empty() ? "nothing has begun" : "no step was logged";
  const double step = run.rows.times.back().step;
  std::string text = "step " + NumberText(step);
  if (run.total_steps > 0) text += " of " + NumberText(static_cast<double>(run.total_steps));
  return text + fmt::format(", epoch {:.4g}", run.rows.last_epoch);
}

void DrawHead(const RunRecord& run, HtmlWriter& html) {
  {
    const auto line = html.Open("p");
    html.Add("span", {{"class", "state " + run.state}}, run.state);
    html.AddText(EndingText(run));
  }
  if (!run.result_line.empty()) {
    const auto line = html.Open("p");
    html.Add("code", run.result_line);
  }
  DrawFacts(run, html);
}

void DrawJudgement(const RunRecord& run, HtmlWriter& html) {
  if (!run.rows.times.empty()) {
    const Overfitting judged = JudgeOverfitting(run.rows, run.running());
    html.Add("p", {{"class", judged.worse ? "says worse" : "says"}}, judged.sentence);
  }
  if (run.notes.empty()) return;
  const auto notes = html.Open("div", {{"class", "says notes"}});
  const auto list = html.Open("ul");
  for (const std::string& note : run.notes) html.Add("li", note);
}

void DrawWholeRun(const RunRecord& run, HtmlWriter& html) {
  DrawHead(run, html);
  DrawJudgement(run, html);
  DrawTiles(run, html);
  if (!run.rows.times.empty()) {
    html.Add("h2", "Curves");
    const auto charts = html.Open("div", {{"class", "charts"}});
    for (const std::string& measure : MeasuresOf(run.rows)) DrawChart(MeasureChart(run, measure), html);
    for (const Chart& chart : CircumstanceCharts(run)) DrawChart(chart, html);
  }
  if (!run.rows.times.empty() && !run.starts.empty()) {
    const std::vector<Chart> progress = ProgressChart(run);
    if (!progress.empty() || !TimeUse(run).empty()) html.Add("h2", "Time");
    for (const Chart& chart : progress) DrawChart(chart, html);
    DrawTimeUse(run, html);
    DrawStarts(run, html);
  }
  if (run.evaluation)
    for (const records::SplitRecord& split : run.evaluation->splits) DrawEvaluation(split, html);
  html.Add("h2", "Recipe");
  DrawRecipe(run, html);
}

void DrawFoldedRun(const RunRecord& run, HtmlWriter& html) {
  const auto details = html.Open("details");
  {
    const auto summary = html.Open("summary");
    html.AddText(run.name + " ");
    html.Add("span", {{"class", "state " + run.state}}, run.state);
  }
  DrawHead(run, html);
  DrawJudgement(run, html);
  if (!run.rows.times.empty()) {
    const auto charts = html.Open("div", {{"class", "charts"}});
    DrawChart(MeasureChart(run, "loss"), html);
  }
  if (run.evaluation)
    for (const records::SplitRecord& split : run.evaluation->splits) {
      if (!split.worst.empty()) html.Add("h3", fmt::format("Worst answers: {} split", split.split));
      DrawWorstAnswers(split, kMostWorstFolded, html);
    }
  DrawRecipe(run, html);
}

}  // namespace lockstep::launch
