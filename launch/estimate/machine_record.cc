#include "launch/estimate/machine_record.h"

#include <fmt/format.h>

#include <cstdlib>

#include "base/build_info.h"
#include "base/error.h"
#include "base/json_fields.h"
#include "base/machine/cpu_info.h"
#include "base/machine/host.h"

namespace lockstep::launch {
namespace {

constexpr int kVersion = 1;

/// Numbers of the file have six digits: a measurement has fewer.
double Rounded(double value) { return std::strtod(fmt::format("{:.6g}", value).c_str(), nullptr); }

Json ToJson(const MachineRates& rates) {
  return {{"copy_gb_s", Rounded(rates.copy_gb_s)}, {"matrix_gflops", Rounded(rates.matrix_gflops)}};
}

MachineRates RatesIn(const Json& object, const char* name, const JsonFields::Damaged& damaged) {
  const Json of = object.value(name, Json());
  const JsonFields rates(of, damaged);
  MachineRates result{rates.Get<double>("matrix_gflops"), rates.Get<double>("copy_gb_s")};
  if (!(result.matrix_gflops > 0) || !(result.copy_gb_s > 0)) damaged(fmt::format("\"{}\" has no rates", name));
  return result;
}

/// A row: kind, seconds alone and together, FLOP, bytes, and the four numbers of its shape.
Json RowOf(const MeasuredOp& op) {
  Json row = {op.work.kind, Rounded(op.alone), Rounded(op.together), op.work.flops, op.work.bytes};
  for (double value : op.work.shape) row.push_back(value);
  return row;
}

MeasuredOp OpOf(const Json& row, const JsonFields::Damaged& damaged) {
  constexpr size_t kNumbers = 4;
  MeasuredOp op;
  const size_t columns = 1 + kNumbers + op.work.shape.size();
  bool good = row.is_array() && row.size() == columns && row[0].is_string();
  for (size_t i = 1; good && i < columns; ++i) good = row[i].is_number() && row[i].get<double>() >= 0;
  if (!good) damaged("\"ops\" has a row that is none");
  op.work.kind = row[0].get<std::string>();
  op.alone = row[1].get<double>();
  op.together = row[2].get<double>();
  op.work.flops = row[3].get<double>();
  op.work.bytes = row[4].get<double>();
  for (size_t i = 0; i < op.work.shape.size(); ++i) op.work.shape[i] = row[1 + kNumbers + i].get<double>();
  if (!(op.alone > 0) || !(op.together > 0)) damaged(fmt::format("\"ops\" has a {} that takes no time", op.work.kind));
  return op;
}

}  // namespace

std::string FormatMachine(const MachineRecord& record) {
  const Json object = {{"version", kVersion},
                       {"host", record.host},
                       {"cpu", record.cpu},
                       {"isa", record.isa},
                       {"build", record.build},
                       {"cores", record.cores},
                       {"alone", ToJson(record.alone)},
                       {"together", ToJson(record.together)},
                       {"step_overhead_s", Rounded(record.step_overhead)}};
  std::string text = DumpJson(object);
  text.back() = ',';
  text += "\"ops\":[";
  for (const MeasuredOp& op : record.ops) text += (&op == record.ops.data() ? "\n" : ",\n") + DumpJson(RowOf(op));
  return text + "\n]}\n";
}

MachineRecord ParseMachine(std::string_view text, const std::string& where) {
  const JsonFields::Damaged damaged = [&](const std::string& what) {
    throw Error(ErrorKind::kUsage, "is no measurement of a machine: " + what, where,
                "make one there with lockstep doctor --measure");
  };
  const Json object = ParseJsonObject(text);
  const JsonFields fields(object, damaged);
  if (fields.Get<int>("version") != kVersion) damaged("it is of another version");
  MachineRecord record;
  record.host = fields.Get<std::string>("host");
  record.cpu = fields.Get<std::string>("cpu");
  record.isa = fields.Get<std::string>("isa");
  record.build = fields.Get<std::string>("build");
  record.cores = fields.Get<int>("cores");
  record.alone = RatesIn(object, "alone", damaged);
  record.together = RatesIn(object, "together", damaged);
  record.step_overhead = fields.Get<double>("step_overhead_s");
  for (const Json& row : fields.List("ops")) record.ops.push_back(OpOf(row, damaged));
  if (record.cores < 1 || record.ops.empty()) damaged("it has no ops");
  return record;
}

std::string KeptMachinePath() {
  const auto folder = [](const char* name) -> std::string {
    const char* value = std::getenv(name);
    return value == nullptr || *value != '/' ? "" : value;  // the XDG specification ignores relative paths
  };
  std::string base = folder("XDG_CACHE_HOME");
  if (base.empty() && !folder("HOME").empty()) base = folder("HOME") + "/.cache";
  return base.empty() ? "" : fmt::format("{}/lockstep/machine-{}.json", base, HostName());
}

std::string WhyOtherBuild(const MachineRecord& record) {
  return record.build == BuildHash() ? "" : fmt::format("is of build {}; this one is {}", record.build, BuildHash());
}

std::string WhyStale(const MachineRecord& record) {
  if (record.cpu != CpuModel()) return fmt::format("is of {}; this is {}", record.cpu, CpuModel());
  const std::string isa = Name(DetectIsa());
  if (record.isa != isa) return fmt::format("is of {}; this is {}", record.isa, isa);
  return WhyOtherBuild(record);
}

}  // namespace lockstep::launch
