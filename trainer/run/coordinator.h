// The coordinator: a role of rank 0. Before step one it hears what every rank has (Hello), makes sure that they are
// about to do the same thing, finds out where the run stands, and answers with one StartPlan. During the run it turns
// receipts into a committed checkpoint.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/files/file.h"
#include "trainer/checkpoint/checkpoint.h"
#include "trainer/engine/parameter_layout.h"
#include "trainer/plan/core_plan.h"
#include "trainer/records/certificate.h"
#include "trainer/records/lease.h"
#include "trainer/records/run_folder.h"
#include "trainer/run/job.h"
#include "trainer/run/legs.h"
#include "trainer/run/messages.pb.h"
#include "trainer/run/start.h"

namespace lockstep::run {

class Coordinator {
 public:
  Coordinator(const Job& job, const Start& start);

  /// Compares the ranks, opens the run folder, finds the checkpoint to resume from, deals executors. Errors are part of
  /// the plan: all ranks learn of them.
  StartPlan Decide(const std::vector<Hello>& hellos);

  /// Of the run folder, from Decide on.
  records::Lease& lease() { return *lease_; }
  /// Whether a later attempt has begun: this one must not write into the folder any more.
  bool Superseded();
  /// Before the first step: the certificate goes on at `step`.
  void BeginCertificate(const engine::ParameterLayout& layout, uint64_t step);
  records::CertificateWriter& certificate() { return *certificate_; }

  /// Commits a checkpoint from the ranks' receipts, and the certificate before it. Throws where a rank could not write,
  /// and where another job has taken the run over (then Superseded()). May run on a thread of its own.
  void Commit(checkpoint::Manifest manifest, const std::vector<checkpoint::Receipt>& receipts,
              const std::string& folder);

 private:
  void CompareRanks(const std::vector<Hello>& hellos) const;
  void TakeFolder();
  /// Throws where the run in the folder is another one than this. What of the recipe differs, as --change recipe
  /// allows.
  std::vector<std::string> CheckContinues() const;
  /// That the run in the folder goes on from, of `last_step` or before; null where it has none yet.
  std::unique_ptr<checkpoint::Reader> FindCheckpoint(uint64_t last_step);
  data::Leg LegFrom(const checkpoint::Reader& newest) const;
  /// The checkpoint that the run goes on from; null where it has none. Fills in what the plan says of it.
  std::unique_ptr<checkpoint::Reader> FindResume(StartPlan& start_plan);
  /// Throws where the weights would be a function of other data from here on, and that is not asked for. `now`:
  /// fingerprints of the splits. Adds to `changed` what is.
  void CheckSameData(const std::map<std::string, std::string>& now, std::vector<std::string>& changed);
  void OpenFolder(StartPlan& start_plan, const std::vector<Hello>& hellos);
  void CompareWithLastAttempt(const Hello& now, const std::string& build_hash);
  /// Gives faster ranks more lanes, where the recipe asks for it.
  void Balance(const std::vector<Hello>& hellos, plan::CorePlan& plan) const;
  void WarnOfRecipe() const;
  void ReportCores(const std::vector<Hello>& hellos, const std::vector<plan::RankCores>& cores,
                   const plan::CorePlan& plan) const;
  void ReportIgnored(const std::vector<Hello>& hellos) const;
  void ReportDevices(const std::vector<Hello>& hellos) const;

  const Job& job_;
  const Start& start_;
  FileSystem& files_;
  records::RunFolder folder_;
  std::unique_ptr<records::Lease> lease_;
  records::Certificate begun_;  ///< what the certificate says besides rows
  std::unique_ptr<records::CertificateWriter> certificate_;
};

}  // namespace lockstep::run
