// What a rank holds beside its model and data: the program, its libraries and threads, prepared kernels, buffers of
// files.
#pragma once

#include <cstdint>

#include "comm/exchange.h"
#include "launch/recipe/recipe.h"
#include "trainer/plan/job_plans.h"
#include "trainer/run/job.h"

namespace lockstep::launch {

/// What a rank has in memory beside that of its plan. `resident` is what a process has that has opened the job's data
/// and compiled its programs, `held` its samples, which are counted elsewhere; both were looked at. What a rank adds to
/// that was measured on x86-64 (docs/measured.md): threads, each distinct kernel that is prepared, MPI where there are
/// several `ranks`, and the buffer through which files of more than 4 MiB are written (base/files/file.cc), where its
/// shard of `shard` bytes is one.
int64_t ProcessBytes(const plan::JobPlans& plans, int64_t resident, int64_t held, int ranks, int64_t shard);

/// What a rank holds, on average, when evaluations write answers token by token: of translations, a decoder of each
/// executor for each shape of a block that it gets; else 0.
int64_t AnswerBytes(const Recipe& recipe, const run::Job& job, const plan::JobPlans& plans,
                    const comm::LanePlan& lanes);

}  // namespace lockstep::launch
