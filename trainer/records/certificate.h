// The certificate of a run: DIR/certificate.json, hashes of what went into it and of where it was every k steps, so
// that two runs can be compared without their checkpoints, and `lockstep replay` can find where they part.
//
// Steps count finished steps. Hashes are XXH3-64, as sixteen lower-case hexadecimal digits. Format 1, a JSON object:
//   version    1
//   recipe     hash of the part of the recipe that decides the weights
//   data       {split: the data's fingerprint}
//   attempts   [{attempt, ranks, from_step, build_hash, numerics {name: value}, changed [text]}], ascending by
//              attempt; `changed` only where something has
//   every      steps between rows
//   tensors    names of all parameters and running statistics, ascending
//   rows       [{step, weights, order, tensors}], ascending by step: `weights` as in the done line, `order` the
//              ledger's ordered chain, `tensors` the hashes of `tensors` one behind the other (may be left out)
//   final      {step, weights, order}: the weights that the done line reports (averaged or best ones, where the recipe
//              says so); only in a finished run
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/files/file.h"
#include "base/mutex.h"
#include "trainer/engine/parameter_layout.h"

namespace lockstep::records {

inline constexpr int kCertificateVersion = 1;
inline constexpr char kCertificateName[] = "certificate.json";

struct CertificateRow {
  uint64_t step = 0;
  uint64_t weights = 0;           ///< engine::HashWeights
  uint64_t order = 0;             ///< data::Ledger::chain
  std::vector<uint64_t> tensors;  ///< HashTensors; empty: not noted
  friend bool operator==(const CertificateRow&, const CertificateRow&) = default;
};

/// One start of the run.
struct CertificateAttempt {
  uint32_t attempt = 0;
  int ranks = 0;
  uint64_t from_step = 0;
  std::string build_hash;
  std::map<std::string, std::string> numerics;
  std::vector<std::string> changed = {};  ///< of the recipe, with this start: as AttemptStart
  friend bool operator==(const CertificateAttempt&, const CertificateAttempt&) = default;
};

struct Certificate {
  std::string recipe;                       ///< sixteen hexadecimal digits
  std::map<std::string, std::string> data;  ///< by split, likewise
  std::vector<CertificateAttempt> attempts;
  uint64_t every = 0;
  std::vector<std::string> tensors;
  std::vector<CertificateRow> rows;
  std::optional<CertificateRow> final;

  /// nullptr where there is none of that step.
  const CertificateRow* RowOf(uint64_t step) const;
  friend bool operator==(const Certificate&, const Certificate&) = default;
};

/// Names of what HashTensors hashes: all parameters and running statistics, ascending.
std::vector<std::string> TensorNames(const engine::ParameterLayout& layout);
/// XXH3-64 of each tensor's little-endian float32 bytes, in the order of TensorNames.
std::vector<uint64_t> HashTensors(const engine::ParameterLayout& layout, const float* arena);

std::string FormatCertificate(const Certificate& certificate);
/// Throws Error(kUsage) at `where` for text that is no certificate, or one of a newer version.
Certificate ParseCertificate(std::string_view text, const std::string& where);
/// Reads the file `path`; the same errors.
Certificate ReadCertificate(FileSystem& files, const std::string& path);

/// The certificate that a run writes. Rank 0 alone. Thread-safe: rows come from the training thread while a background
/// thread writes.
///
/// Write before the manifest of a step is committed, when the rows up to that step have been added: then no run resumes
/// from a step whose earlier rows were never written. Rows past the checkpoint are made again after a resume, alike.
class CertificateWriter {
 public:
  /// `now`: everything but rows, with the one attempt that begins.
  CertificateWriter(FileSystem& files, std::string path, Certificate now);

  /// The run begins at `step` (0: at the beginning): takes over rows up to it and the earlier attempts from the file,
  /// where there is one. One that can't be read, or is of another recipe or other data, is left behind with a warning.
  void ResumeAt(uint64_t step);

  /// Whether step `step` has a row.
  bool Due(uint64_t step) const { return step % every_ == 0; }
  /// REQUIRES: later than the row before.
  void Add(CertificateRow row);
  void SetFinal(uint64_t step, uint64_t weights, uint64_t order);
  /// Replaces the file, whole or not at all. Throws what the file system says; the rows stay for the next time.
  void Write();

  Certificate certificate() const;

 private:
  FileSystem& files_;
  const std::string path_;
  const uint64_t every_;
  Mutex write_mutex_;  ///< one thread at a time writes
  mutable Mutex mutex_;
  Certificate certificate_ GUARDED_BY(mutex_);
};

/// Where two certificates part.
struct CertificateDifference {
  /// What differs first: "recipes differ", "weights differ first at step 300: tensor conv1.weight". Empty: nothing.
  std::string text;
  std::optional<uint64_t> step;  ///< of the first row that differs
  std::string tensor;            ///< the first that differs in it, where that is known
};

/// Compares recipe, data, and what both say of the same steps; attempts (ranks, builds, hardware) are no difference.
CertificateDifference FirstDifference(const Certificate& a, const Certificate& b);
/// The same for one row each of one step. Tensors are compared where both have them.
CertificateDifference CompareRows(const Certificate& a, const CertificateRow& row_a, const Certificate& b,
                                  const CertificateRow& row_b);
/// Steps of which both have a row, ascending.
std::vector<uint64_t> CommonSteps(const Certificate& a, const Certificate& b);
/// What may explain a difference: "builds 5950de47c19e3723 and ...", "cpu: X and Y"; one line each.
std::vector<std::string> DifferentCircumstances(const Certificate& a, const Certificate& b);

}  // namespace lockstep::records
