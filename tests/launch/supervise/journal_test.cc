#include "launch/supervise/journal.h"

#include <gtest/gtest.h>

#include "base/files/file.h"
#include "tests/base/temporary_folder.h"

namespace lockstep::launch {
namespace {

TEST(Journal, TakesCommandsThatAreNoUtf8) {
  const TemporaryFolder folder;
  Journal journal(folder.path());
  EXPECT_NO_THROW(journal.Add({{"event", "start"}, {"command", "lockstep train caf\xe9.textproto --out /runs/\xe9"}}));
  journal.Write();
  const std::vector<Json> rows = ParseJsonRows(ReadWholeFile(FileSystem::Real(), folder / "supervisor.jsonl"));
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(TextOr(rows[0], "event"), "start");
  EXPECT_EQ(TextOr(rows[0], "command"), "lockstep train caf\xef\xbf\xbd.textproto --out /runs/\xef\xbf\xbd");
}

}  // namespace
}  // namespace lockstep::launch
