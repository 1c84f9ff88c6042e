// Any text as a certificate: one that is read back as it was and agrees with itself, or Error(kUsage), and nothing
// else.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "base/error.h"
#include "trainer/records/certificate.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace lockstep;
  try {
    const auto certificate = records::ParseCertificate({reinterpret_cast<const char*>(data), size}, "certificate.json");
    if (records::ParseCertificate(records::FormatCertificate(certificate), "") != certificate) std::abort();
    if (!records::FirstDifference(certificate, certificate).text.empty()) std::abort();
    if (!records::DifferentCircumstances(certificate, certificate).empty()) std::abort();
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kUsage) throw;
  }
  return 0;
}
