// Any text as a certificate: one that is read back as it was and agrees with itself, or Error(kUsage), and nothing
// else.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "base/error.h"
#include "trainer/loop/certificate.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace lockstep;
  try {
    const auto certificate = loop::ParseCertificate({reinterpret_cast<const char*>(data), size}, "certificate.json");
    if (loop::ParseCertificate(loop::FormatCertificate(certificate), "") != certificate) std::abort();
    if (!loop::FirstDifference(certificate, certificate).text.empty()) std::abort();
    if (!loop::DifferentCircumstances(certificate, certificate).empty()) std::abort();
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kUsage) throw;
  }
  return 0;
}
