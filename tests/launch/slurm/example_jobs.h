// Jobs that tests of scripts are about.
#pragma once

#include "launch/slurm/job_script.h"
#include "launch/slurm/site_config.h"

namespace lockstep::launch {

inline JobScript Job() {
  JobScript job;
  job.site = ParseSite(
      "account: \"physics\" setup: \"module load openmpi\" setup: \"ulimit -c 0\" sbatch: \"--mail-type=FAIL\"",
      "site");
  job.name = "mnist";
  job.program = "/opt/lockstep";
  job.folder = "/shared/runs/mnist";
  job.directory = "/home/me/my work";
  job.words = {"/home/me/mnist.textproto", "--out", "/shared/runs/mnist", "--set", "name=\"it's\""};
  job.nodes = 2;
  job.ranks_per_node = 4;
  job.cpus_per_rank = 8;
  job.gpus_per_node = 4;
  job.seconds = 1800;
  return job;
}

inline JobScript Study() {
  JobScript job = Job();
  job.work = JobWork::kStudy;
  job.folder = "/shared/studies/mnist";
  job.words = {"scale", "r.textproto", "--ranks", "1,2", "--against", "echo {ranks}"};
  return job;
}

}  // namespace lockstep::launch
