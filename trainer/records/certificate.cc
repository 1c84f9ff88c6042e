#include "trainer/records/certificate.h"

#include <algorithm>
#include <iterator>
#include <set>
#include <span>
#include <utility>

#include "base/files/atomic_write.h"
#include "base/hash.h"
#include "base/json_fields.h"
#include "base/log.h"

namespace lockstep::records {
namespace {

using Texts = std::map<std::string, std::string>;

constexpr size_t kHashDigits = 16;

[[noreturn]] void Damaged(const std::string& where, const std::string& what) {
  throw Error(ErrorKind::kUsage, "damaged certificate: " + what, where);
}

/// Of the certificate `where`.
JsonFields::Damaged DamagedAt(const std::string& where) {
  return [where](const std::string& what) { Damaged(where, what); };
}

uint64_t ParseHash(std::string_view text, const std::string& where) {
  uint64_t hash = 0;
  for (const char digit : text) {
    const bool letter = digit >= 'a' && digit <= 'f';
    if (!letter && !(digit >= '0' && digit <= '9')) Damaged(where, "a hash has other than sixteen hexadecimal digits");
    hash = hash << 4 | static_cast<uint64_t>(letter ? digit - 'a' + 10 : digit - '0');
  }
  if (text.size() != kHashDigits) Damaged(where, "a hash has other than sixteen hexadecimal digits");
  return hash;
}

CertificateRow ParseRow(const Json& object, size_t tensors, const std::string& where) {
  if (!object.is_object()) Damaged(where, "a row is no object");
  const JsonFields::Damaged damaged = DamagedAt(where);
  const JsonFields fields(object, damaged);
  CertificateRow row;
  row.step = fields.Get<uint64_t>("step");
  row.weights = ParseHash(fields.Get<std::string>("weights"), where);
  row.order = ParseHash(fields.Get<std::string>("order"), where);
  if (!fields.Has("tensors")) return row;
  const auto hashes = fields.Get<std::string>("tensors");
  if (hashes.size() != tensors * kHashDigits)
    Damaged(where, fmt::format("the row of step {} has hashes of other than {} tensors", row.step, tensors));
  for (size_t at = 0; at < hashes.size(); at += kHashDigits)
    row.tensors.push_back(ParseHash(std::string_view(hashes).substr(at, kHashDigits), where));
  return row;
}

Json RowObject(const CertificateRow& row) {
  Json object = {{"step", row.step}, {"weights", HashText(row.weights)}, {"order", HashText(row.order)}};
  if (row.tensors.empty()) return object;
  std::string hashes;
  for (const uint64_t hash : row.tensors) hashes += HashText(hash);
  object["tensors"] = hashes;
  return object;
}

CertificateAttempt ParseAttempt(const Json& object, const std::string& where) {
  if (!object.is_object()) Damaged(where, "an attempt is no object");
  const JsonFields::Damaged damaged = DamagedAt(where);
  const JsonFields fields(object, damaged);
  return {
      fields.Get<uint32_t>("attempt"),   fields.Get<int>("ranks"),
      fields.Get<uint64_t>("from_step"), fields.Get<std::string>("build_hash"),
      fields.Get<Texts>("numerics"),     fields.Has("changed") ? fields.Texts("changed") : std::vector<std::string>()};
}

template <typename Items, typename Key>
bool Ascending(const Items& items, Key key) {
  return std::adjacent_find(items.begin(), items.end(),
                            [&](const auto& a, const auto& b) { return !(key(a) < key(b)); }) == items.end();
}

void CheckOrder(const Certificate& certificate, const std::string& where) {
  if (certificate.every < 1) Damaged(where, "\"every\" is 0");
  if (!Ascending(certificate.attempts, [](const auto& attempt) { return attempt.attempt; }))
    Damaged(where, "attempts don't ascend");
  if (!Ascending(certificate.tensors, [](const auto& name) -> const std::string& { return name; }))
    Damaged(where, "names of tensors don't ascend");
  if (!Ascending(certificate.rows, [](const auto& row) { return row.step; })) Damaged(where, "rows don't ascend");
}

/// All entries by ascending name.
std::vector<const engine::ArenaEntry*> ByName(const engine::ParameterLayout& layout) {
  std::vector<const engine::ArenaEntry*> entries;
  for (const engine::ArenaEntry& entry : layout.entries()) entries.push_back(&entry);
  std::sort(entries.begin(), entries.end(), [](const auto* a, const auto* b) { return a->name < b->name; });
  return entries;
}

/// "conv1.weight and 7 more"; empty where no tensor is known to differ.
std::string DifferingTensors(const Certificate& a, const CertificateRow& row_a, const Certificate& b,
                             const CertificateRow& row_b, std::string* first) {
  if (row_a.tensors.empty() || row_b.tensors.empty() || a.tensors != b.tensors) return "";
  int count = 0;
  for (size_t i = 0; i < a.tensors.size(); ++i)
    if (row_a.tensors[i] != row_b.tensors[i] && count++ == 0) *first = a.tensors[i];
  return count < 2 ? *first : fmt::format("{} and {} more", *first, count - 1);
}

}  // namespace

const CertificateRow* Certificate::RowOf(uint64_t step) const {
  const auto found = std::lower_bound(rows.begin(), rows.end(), step,
                                      [](const CertificateRow& row, uint64_t wanted) { return row.step < wanted; });
  return found != rows.end() && found->step == step ? &*found : nullptr;
}

std::vector<std::string> TensorNames(const engine::ParameterLayout& layout) {
  std::vector<std::string> names;
  for (const engine::ArenaEntry* entry : ByName(layout)) names.push_back(entry->name);
  return names;
}

std::vector<uint64_t> HashTensors(const engine::ParameterLayout& layout, const float* arena) {
  std::vector<uint64_t> hashes;
  for (const engine::ArenaEntry* entry : ByName(layout))
    hashes.push_back(Hash64(std::as_bytes(std::span(arena + entry->offset, static_cast<size_t>(entry->size())))));
  return hashes;
}

std::string FormatCertificate(const Certificate& certificate) {
  Json attempts = Json::array();
  for (const CertificateAttempt& attempt : certificate.attempts) {
    attempts.push_back({{"attempt", attempt.attempt},
                        {"ranks", attempt.ranks},
                        {"from_step", attempt.from_step},
                        {"build_hash", attempt.build_hash},
                        {"numerics", attempt.numerics}});
    if (!attempt.changed.empty()) attempts.back()["changed"] = attempt.changed;
  }
  const Json head = {{"version", kCertificateVersion}, {"recipe", certificate.recipe},
                     {"data", certificate.data},       {"attempts", attempts},
                     {"every", certificate.every},     {"tensors", certificate.tensors}};
  // A line for each attempt and row: such files are looked at with grep and diff.
  std::string text = "{\n";
  for (const char* name : {"version", "recipe", "data", "every", "tensors"})
    text += fmt::format("\"{}\": {},\n", name, DumpJson(head[name]));
  const auto append_list = [&](const char* name, const auto& objects) {
    text += fmt::format("\"{}\": [", name);
    const char* separator = "\n";
    for (const Json& object : objects) {
      text += separator + DumpJson(object);
      separator = ",\n";
    }
    text += "]";
  };
  append_list("attempts", attempts);
  text += ",\n";
  std::vector<Json> rows;
  for (const CertificateRow& row : certificate.rows) rows.push_back(RowObject(row));
  append_list("rows", rows);
  if (certificate.final) text += ",\n\"final\": " + DumpJson(RowObject(*certificate.final));
  return text + "\n}\n";
}

Certificate ParseCertificate(std::string_view text, const std::string& where) {
  const Json object = ParseJsonObject(text);
  const JsonFields::Damaged damaged = DamagedAt(where);
  const JsonFields fields(object, damaged);
  const auto version = fields.Get<uint64_t>("version");
  if (version > kCertificateVersion)
    throw Error(ErrorKind::kUsage,
                fmt::format("certificate format {} is newer than this program, which knows format {}", version,
                            kCertificateVersion),
                where, "use the Lockstep that wrote it, or a newer one");
  if (version < 1) Damaged(where, "its version is 0");
  Certificate certificate;
  certificate.recipe = fields.Get<std::string>("recipe");
  certificate.data = fields.Get<Texts>("data");
  certificate.every = fields.Get<uint64_t>("every");
  for (const Json& attempt : fields.List("attempts")) certificate.attempts.push_back(ParseAttempt(attempt, where));
  certificate.tensors = fields.Texts("tensors");
  for (const Json& row : fields.List("rows"))
    certificate.rows.push_back(ParseRow(row, certificate.tensors.size(), where));
  if (fields.Has("final")) certificate.final = ParseRow(object["final"], certificate.tensors.size(), where);
  CheckOrder(certificate, where);
  return certificate;
}

Certificate ReadCertificate(FileSystem& files, const std::string& path) {
  return ParseCertificate(ReadWholeFile(files, path), path);
}

CertificateWriter::CertificateWriter(FileSystem& files, std::string path, Certificate now)
    : files_(files), path_(std::move(path)), every_(now.every), certificate_(std::move(now)) {
  CHECK(every_ > 0 && certificate_.attempts.size() == 1);
  certificate_.rows.clear();
  certificate_.final.reset();
}

void CertificateWriter::ResumeAt(uint64_t step) {
  if (!files_.Exists(path_)) return;
  const MutexLock lock(mutex_);
  Certificate before;
  try {
    before = ReadCertificate(files_, path_);
    const std::string other = before.recipe != certificate_.recipe ? "recipe"
                              : before.data != certificate_.data   ? "data"
                                                                   : "";
    // More steps or epochs make another recipe of the same run; its rows so far stay true.
    if (!other.empty()) LogInfo("the certificate so far is of another {}", other);
    if (before.tensors != certificate_.tensors) throw Error(ErrorKind::kUsage, "it is of another model", path_);
  } catch (const Error& error) {
    LogWarning("the certificate of this run begins anew at step {}: {}", step, error.what());
    return;
  }
  const CertificateAttempt now = certificate_.attempts.back();
  std::erase_if(before.attempts, [&](const auto& attempt) { return attempt.attempt >= now.attempt; });
  before.attempts.push_back(now);
  certificate_.attempts = std::move(before.attempts);
  std::erase_if(before.rows, [&](const auto& row) { return row.step > step; });
  certificate_.rows = std::move(before.rows);
}

void CertificateWriter::Add(CertificateRow row) {
  const MutexLock lock(mutex_);
  CHECK(certificate_.rows.empty() || certificate_.rows.back().step < row.step, "step {} comes after {}", row.step,
        certificate_.rows.back().step);
  CHECK(row.tensors.empty() || row.tensors.size() == certificate_.tensors.size());
  certificate_.rows.push_back(std::move(row));
}

void CertificateWriter::SetFinal(uint64_t step, uint64_t weights, uint64_t order) {
  const MutexLock lock(mutex_);
  certificate_.final = CertificateRow{step, weights, order, {}};
}

void CertificateWriter::Write() {
  const MutexLock lock(write_mutex_);
  WriteFileAtomically(files_, path_, FormatCertificate(certificate()));
}

Certificate CertificateWriter::certificate() const {
  const MutexLock lock(mutex_);
  return certificate_;
}

std::vector<uint64_t> CommonSteps(const Certificate& a, const Certificate& b) {
  std::vector<uint64_t> steps;
  for (const CertificateRow& row : a.rows)
    if (b.RowOf(row.step) != nullptr) steps.push_back(row.step);
  return steps;
}

CertificateDifference CompareRows(const Certificate& a, const CertificateRow& row_a, const Certificate& b,
                                  const CertificateRow& row_b) {
  CertificateDifference difference;
  if (row_a.order != row_b.order) {
    difference.text = fmt::format("data order differs from step {} on", row_a.step);
  } else {
    const std::string tensors = DifferingTensors(a, row_a, b, row_b, &difference.tensor);
    if (row_a.weights == row_b.weights && tensors.empty()) return difference;
    difference.text =
        fmt::format("{} differ first at step {}{}", row_a.weights != row_b.weights ? "weights" : "running statistics",
                    row_a.step, tensors.empty() ? "" : ": tensor " + tensors);
  }
  difference.step = row_a.step;
  return difference;
}

CertificateDifference FirstDifference(const Certificate& a, const Certificate& b) {
  if (a.recipe != b.recipe) return {"recipes differ", std::nullopt, ""};
  std::set<std::string> splits;
  for (const auto* data : {&a.data, &b.data})
    for (const auto& [split, fingerprint] : *data) splits.insert(split);
  for (const std::string& split : splits) {
    const auto in_a = a.data.find(split), in_b = b.data.find(split);
    if (in_a == a.data.end() || in_b == b.data.end() || in_a->second != in_b->second)
      return {fmt::format("{} data differ", split), std::nullopt, ""};
  }
  for (const uint64_t step : CommonSteps(a, b)) {
    CertificateDifference difference = CompareRows(a, *a.RowOf(step), b, *b.RowOf(step));
    if (!difference.text.empty()) return difference;
  }
  if (a.final && b.final && a.final->step == b.final->step && *a.final != *b.final)
    return {fmt::format("final weights differ, at step {}", a.final->step), a.final->step, ""};
  return {};
}

std::vector<std::string> DifferentCircumstances(const Certificate& a, const Certificate& b) {
  const auto seen = [](const Certificate& certificate) {
    std::map<std::string, std::set<std::string>> values;
    for (const CertificateAttempt& attempt : certificate.attempts) {
      values["build"].insert(attempt.build_hash);
      for (const auto& [name, value] : attempt.numerics) values[name].insert(value);
    }
    return values;
  };
  const auto text = [](const std::set<std::string>& values) {
    std::string joined;
    for (const std::string& value : values) joined += (joined.empty() ? "" : " | ") + value;
    return joined.empty() ? "unset" : joined;
  };
  auto values_a = seen(a), values_b = seen(b);
  std::vector<std::string> lines;
  std::map<std::string, std::set<std::string>> both = values_a;
  both.insert(values_b.begin(), values_b.end());
  for (const auto& [name, values] : both)
    if (values_a[name] != values_b[name])
      lines.push_back(fmt::format("{}: {} and {}", name, text(values_a[name]), text(values_b[name])));
  return lines;
}

}  // namespace lockstep::records
