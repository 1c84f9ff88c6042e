// Any text as a lease: one that is read back as it was, or Error(kUsage), and nothing else.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "base/error.h"
#include "trainer/records/lease_record.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace lockstep;
  try {
    const records::LeaseRecord record = records::ParseLease({reinterpret_cast<const char*>(data), size}, "lease.json");
    const std::string text = records::FormatLease(record);
    if (records::FormatLease(records::ParseLease(text, "lease.json")) != text) std::abort();
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kUsage) throw;
  }
  return 0;
}
