#include "launch/profile/trace_writer.h"

#include <fmt/format.h>

#include <iterator>
#include <string>
#include <utility>

#include "base/json_fields.h"

namespace lockstep::launch {
namespace {

using profile::Event;
using profile::What;
using records::ProfiledOp;
using records::RankProfile;

constexpr size_t kPiece = 1 << 16;
// Threads' numbers are unique in the trace: viewers take a thread for the main one whose number is its process's.
constexpr int kThreadsOfARank = 10000;

std::string Quoted(std::string_view text) { return DumpJson(Json(text)); }

const ProfiledOp& OpOf(const RankProfile& rank, const Event& event) {
  return rank.programs[static_cast<size_t>(event.program)].ops[static_cast<size_t>(event.number)];
}

/// "fc1/weight_grad", "lane 3", "fold of bucket 2".
std::string TitleOf(const RankProfile& rank, const Event& event) {
  const std::string name(profile::Name(event.what));
  switch (event.what) {
    case What::kOp:
      return OpOf(rank, event).name;
    case What::kLane:
      return fmt::format("lane {}", event.lane);
    case What::kStep:
      return fmt::format("step {}", event.step);
    case What::kFold:
    case What::kUpdate:
      return event.number < 0 ? name : fmt::format("{} of bucket {}", name, event.number);
    default:
      return name;
  }
}

/// Viewers colour and filter by these.
std::string_view CategoryOf(What what) {
  switch (what) {
    case What::kOp:
      return "op";
    case What::kSamples:
    case What::kAwaitLanes:
    case What::kShare:
    case What::kControl:
      return "waiting";
    case What::kReduce:
    case What::kUpdate:
    case What::kFold:
    case What::kNorm:
      return "exchange";
    default:
      return "phase";
  }
}

class TraceWriter {
 public:
  explicit TraceWriter(const std::function<void(std::string_view)>& append) : append_(append) {}

  void Write(const ProfiledRun& run) {
    text_ = "{\"displayTimeUnit\":\"ms\",\"metadata\":";
    text_ += Metadata(run);
    text_ += ",\"traceEvents\":[";
    for (const RankProfile& rank : run.ranks) WriteRank(rank);
    text_ += "\n]}\n";
    append_(text_);
  }

 private:
  static std::string Metadata(const ProfiledRun& run) {
    Json ranks = Json::array();
    for (const RankProfile& rank : run.ranks)
      ranks.push_back({{"rank", rank.rank},
                       {"host", rank.host},
                       {"clock_offset_ns", {rank.before.offset_ns, rank.after.offset_ns}},
                       {"clock_error_ns", ProfiledRun::ClockErrorOf(rank)}});
    return DumpJson(
        Json{{"clock",
              "rank 0's; the others' times are put on it by offsets that were measured before and after the "
              "steps, and are off by clock_error_ns at most where clocks drift evenly in between"},
             {"first_step", run.ranks.front().first_step},
             {"steps", run.steps()},
             {"ranks", ranks}});
  }

  void Meta(const char* name, int pid, int tid, const std::string& args) {
    Separate();
    fmt::format_to(std::back_inserter(text_), "{{\"ph\":\"M\",\"name\":\"{}\",\"pid\":{},\"tid\":{},\"args\":{{{}}}}}",
                   name, pid, tid, args);
  }

  void WriteRank(const RankProfile& rank) {
    int tid = (rank.rank + 1) * kThreadsOfARank;
    // Viewers show names, not all of them labels or metadata.
    const std::string clock = rank.rank == 0 ? ""
                                             : fmt::format(", clock +- {:.1f} us",
                                                           1e-3 * static_cast<double>(ProfiledRun::ClockErrorOf(rank)));
    Meta("process_name", rank.rank, tid,
         "\"name\":" + Quoted(fmt::format("rank {} on {}{}", rank.rank, rank.host, clock)));
    Meta("process_sort_index", rank.rank, tid, fmt::format("\"sort_index\":{}", rank.rank));
    int position = 0;
    for (const records::ProfiledThread& thread : rank.threads) {
      Meta("thread_name", rank.rank, tid, "\"name\":" + Quoted(thread.name));
      Meta("thread_sort_index", rank.rank, tid, fmt::format("\"sort_index\":{}", position++));
      for (const Event& event : thread.events) WriteEvent(rank, tid, event);
      ++tid;
    }
  }

  void WriteEvent(const RankProfile& rank, int tid, const Event& event) {
    Separate();
    const auto out = std::back_inserter(text_);
    const int64_t length = event.end_ns - event.begin_ns;
    // In microseconds.
    fmt::format_to(out,
                   "{{\"ph\":\"X\",\"name\":{},\"cat\":\"{}\",\"pid\":{},\"tid\":{},\"ts\":{}.{:03},\"dur\":{}.{:03},"
                   "\"args\":{{\"step\":{}",
                   Quoted(TitleOf(rank, event)), CategoryOf(event.what), rank.rank, tid, event.begin_ns / 1000,
                   event.begin_ns % 1000, length / 1000, length % 1000, event.step);
    if (event.lane >= 0) fmt::format_to(out, ",\"lane\":{}", event.lane);
    if (event.what == What::kOp) {
      const ProfiledOp& op = OpOf(rank, event);
      fmt::format_to(out, ",\"kind\":{},\"flop\":{:.0f},\"bytes\":{:.0f}", Quoted(op.kind), op.flops, op.bytes);
      if (length > 0) fmt::format_to(out, ",\"GFLOP/s\":{:.2f}", op.flops / static_cast<double>(length));
    } else if (event.number >= 0) {
      fmt::format_to(out, ",\"bucket\":{}", event.number);
    }
    text_ += "}}";
  }

  void Separate() {
    if (text_.size() >= kPiece) {
      append_(text_);
      text_.clear();
    }
    text_ += std::exchange(first_, false) ? "\n" : ",\n";
  }

  const std::function<void(std::string_view)>& append_;
  std::string text_;
  bool first_ = true;
};

}  // namespace

void WriteTrace(const ProfiledRun& run, const std::function<void(std::string_view text)>& append) {
  TraceWriter(append).Write(run);
}

}  // namespace lockstep::launch
