// Any text as a rank's profile: one that is read back as it was, comes to a summary and a trace that is JSON, or
// Error(kUsage), and nothing else.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "base/error.h"
#include "base/json_fields.h"
#include "launch/profile/profile_summary.h"
#include "launch/profile/trace_writer.h"
#include "trainer/records/profile_record.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace lockstep;
  try {
    records::RankProfile profile = records::ParseProfile({reinterpret_cast<const char*>(data), size}, "rank-0.json");
    const std::string text = records::FormatProfile(profile);
    if (records::FormatProfile(records::ParseProfile(text, "")) != text) std::abort();
    const launch::ProfiledRun run = launch::Align({std::move(profile)});
    launch::Summarize(run);
    std::string trace;
    launch::WriteTrace(run, [&](std::string_view piece) { trace += piece; });
    if (!ParseJsonObject(trace).is_object()) std::abort();
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kUsage) throw;
  }
  return 0;
}
