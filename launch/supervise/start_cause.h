// Why a start of a job ended, in words: from its exit code, what the launcher said, and the verdict that ranks left.
#pragma once

#include <optional>
#include <string>

#include "launch/supervise/launcher_output.h"
#include "trainer/records/run_folder_reader.h"

namespace lockstep::launch {

struct StartFacts {
  int code = 0;             ///< the launcher's
  int launcher_signal = 0;  ///< that ended mpirun or srun itself
  LauncherEvents events;
  std::optional<records::AttemptEnding> ending;  ///< only one that this start wrote
  std::string lost_host;                         ///< a host that no longer answers
  std::string this_host;
  std::string launcher;  ///< "mpirun" or "srun"
  bool out_of_memory = false;
  bool not_done = false;         ///< the launcher said 0, but the run's folder does not
  bool joined = true;            ///< ranks had found each other
  std::optional<double> waited;  ///< seconds after which the launcher was ended, since its ranks did not join
};

struct StartCause {
  std::string name;      ///< for the account: "killed rank", "hang", "lost host"
  std::string host;      ///< may be unknown
  std::string sentence;  ///< for a person: "rank 1 on h2 was killed (signal 9)"
};

StartCause CauseOf(const StartFacts& facts);

}  // namespace lockstep::launch
