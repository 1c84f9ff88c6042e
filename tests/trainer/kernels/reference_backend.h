// The reference as a backend: each op in double precision, rounded to f32 at its end. It shows that the harness accepts
// what is right, and `Misbehaviour` that it notices what is not.
#pragma once

#include <memory>

#include "trainer/engine/backend.h"

namespace lockstep::conformance {

enum class Misbehaviour {
  kNone,
  kWritesBehindOutput,
  kWritesBeforeOutput,
  kChangesInput,
  kLeavesElementOut,  ///< the last of output 0 is never written
  kDependsOnAddress,  ///< the last bit of output 0 depends on where input 0 lies
  kDependsOnHistory,  ///< the last bit of output 0 changes from run to run
  kTrustsWorkspace,   ///< what an earlier run left in the workspace comes out
};

std::unique_ptr<engine::Backend> MakeReferenceBackend(Misbehaviour misbehaviour = Misbehaviour::kNone);

}  // namespace lockstep::conformance
