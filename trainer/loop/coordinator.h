// The coordinator: a role of rank 0. Before step one it hears what every rank has (Hello), makes sure that they are
// about to do the same thing, finds out where the run stands, and answers with one Verdict. During the run it turns
// receipts into a committed checkpoint.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/file.h"
#include "trainer/checkpoint/checkpoint.h"
#include "trainer/engine/parameter_layout.h"
#include "trainer/loop/certificate.h"
#include "trainer/loop/job.h"
#include "trainer/loop/lease.h"
#include "trainer/loop/messages.pb.h"
#include "trainer/loop/run_folder.h"

namespace lockstep::loop {

class Coordinator {
 public:
  Coordinator(const Job& job, FileSystem& files, uint64_t total_steps);

  /// Compares the ranks, opens the run folder, finds the checkpoint to resume from, deals executors. Errors are part of
  /// the verdict: all ranks learn of them.
  Verdict Decide(const std::vector<Hello>& hellos);

  /// Of the run folder, from Decide on.
  Lease& lease() { return *lease_; }
  /// Whether a later attempt has begun: this one must not write into the folder any more.
  bool Superseded();
  /// Before the first step: the certificate goes on at `step`.
  void BeginCertificate(const engine::ParameterLayout& layout, uint64_t step);
  CertificateWriter& certificate() { return *certificate_; }

  /// Commits a checkpoint from the ranks' receipts, and the certificate before it. Throws where a rank could not write,
  /// and where another job has taken the run over (then Superseded()). May run on a thread of its own.
  void Commit(checkpoint::Manifest manifest, const std::vector<checkpoint::Receipt>& receipts,
              const std::string& folder);

 private:
  void CompareRanks(const std::vector<Hello>& hellos) const;
  void TakeFolder();
  void OpenFolder(Verdict& verdict, const std::vector<Hello>& hellos);
  void CompareWithLastAttempt(const Hello& now, const std::string& build_hash);
  void WarnOfRecipe() const;
  void Report(const std::vector<Hello>& hellos, const Verdict& verdict) const;
  void ReportDevices(const std::vector<Hello>& hellos) const;

  const Job& job_;
  FileSystem& files_;
  RunFolder folder_;
  uint64_t total_steps_;
  std::unique_ptr<Lease> lease_;
  Certificate begun_;  ///< what the certificate says besides rows
  std::unique_ptr<CertificateWriter> certificate_;
};

}  // namespace lockstep::loop
