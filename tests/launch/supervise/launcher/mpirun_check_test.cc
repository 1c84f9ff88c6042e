// Which mpirun goes with which library of MPI.
#include "launch/supervise/launcher/mpirun_check.h"

#include <gmock/gmock.h>

namespace lockstep::launch {
namespace {

using testing::HasSubstr;

TEST(MpirunCheck, EachLibraryWantsItsOwnMpirun) {
  const MpirunVersion four{MpirunVersion::kOpenMpi, 4, 1}, five{MpirunVersion::kOpenMpi, 5, 0},
      hydra{MpirunVersion::kHydra, 0, 0};
  EXPECT_EQ(MismatchOf(four, "Open MPI 4.1.4"), "");
  EXPECT_EQ(MismatchOf(five, "Open MPI 5.0.11"), "");
  EXPECT_EQ(MismatchOf(hydra, "MPICH 5.0.2"), "");
  EXPECT_EQ(MismatchOf(hydra, "Intel(R) MPI 2021.8"), "");
  EXPECT_EQ(MismatchOf({}, "Open MPI 4.1.4"), "");
  EXPECT_THAT(MismatchOf(hydra, "Open MPI 4.1.4"), HasSubstr("alone: put the mpirun of Open MPI 4.1.4 first"));
  EXPECT_THAT(MismatchOf(four, "MPICH 5.0.2"), HasSubstr("alone: put the mpirun of MPICH 5.0.2 first"));
  EXPECT_THAT(MismatchOf(four, "Open MPI 5.0.11"), HasSubstr("may not find each other"));
}

}  // namespace
}  // namespace lockstep::launch
