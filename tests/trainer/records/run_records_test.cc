// What is made of small files that a crash, another version, or a hand has left.
#include "trainer/records/run_records.h"

#include <gmock/gmock.h>

#include "base/json_fields.h"

namespace lockstep::records {
namespace {

TEST(AttemptEnding, IsReadBackAsItWasWritten) {
  const AttemptEnding ending = {3, ErrorKind::kStorage, 6, "can't write", "rank 1 on h1", 40, ""};
  const auto read = ParseEnding(FormatEnding(ending, 5));
  ASSERT_TRUE(read);
  EXPECT_EQ(read->attempt, 3u);
  EXPECT_EQ(read->kind, ErrorKind::kStorage);
  EXPECT_EQ(read->exit_code, 6);
  EXPECT_EQ(read->message, "can't write");
  EXPECT_EQ(read->where, "rank 1 on h1");
  EXPECT_EQ(read->step, 40u);
  EXPECT_EQ(read->text, FormatEnding(ending, 5));
  EXPECT_FALSE(ParseEnding(FormatEnding({1, std::nullopt, 0, "done", "", 9, ""}, 5))->kind);
}

TEST(AttemptEnding, OfAVersionWithoutKindsHasTheOneOfItsExitCode) {
  const auto kind = [](const char* text) { return ParseEnding(text)->kind; };
  EXPECT_EQ(kind(R"({"attempt": 1, "exit_code": 6})"), ErrorKind::kPeer);
  EXPECT_EQ(kind(R"({"exit_code": 75})"), ErrorKind::kPreempted);
  EXPECT_EQ(kind(R"({"exit_code": 0, "message": "done"})"), std::nullopt);
  EXPECT_EQ(kind(R"({"exit_code": 3, "kind": "of a later version"})"), ErrorKind::kData);
  EXPECT_EQ(kind(R"({"exit_code": 3, "kind": 7})"), ErrorKind::kData);
}

TEST(Records, OfWrongTypesAreNoneOrHaveDefaults) {
  for (const char* text : {"", "[]", "3", "{\"exit_code\": \"a\"}", "{\"exit_code\": 1e300}", "{}", "\xff"})
    EXPECT_FALSE(ParseEnding(text)) << text;
  const auto ending = ParseEnding(R"({"attempt": "x", "exit_code": 6, "message": [], "where": 1, "step": -3})");
  ASSERT_TRUE(ending);
  EXPECT_EQ(ending->attempt, 0u);
  EXPECT_EQ(ending->message + ending->where, "");
  EXPECT_EQ(ending->step, 0u);

  const auto attempts = ParseAttempts(
      "{\"attempt\":\"1\",\"host\":3,\"ranks\":[],\"numerics\":{\"cpu\":1}}\n[7]\n{\"attempt\":2,\"ranks\":4}\n{\"att");
  ASSERT_EQ(attempts.size(), 2u);
  EXPECT_EQ(attempts[0].number, 0u);
  EXPECT_TRUE(attempts[0].host.empty() && attempts[0].numerics.empty());
  EXPECT_EQ(attempts[1].number, 2u);
  EXPECT_EQ(attempts[1].ranks, 4);

  for (const char* text : {"{\"line\": 3, \"identity_hash\": \"x\"}", "{\"line\": \"done\"}", "{}", "[1]"})
    EXPECT_FALSE(ParseDone(text)) << text;
}

TEST(Records, WithBytesThatAreNoUtf8AreWritten) {
  const std::string path = "/runs/\xe9t\xe9";
  const auto ending = ParseEnding(FormatEnding({1, ErrorKind::kAccess, 2, "can't write " + path, path, 0, ""}, 5));
  ASSERT_TRUE(ending);
  EXPECT_EQ(ending->where, "/runs/\xef\xbf\xbdt\xef\xbf\xbd");
  EXPECT_EQ(ParseAttempts(FormatAttempt({1, path, 1, 0, "b", {{"cpu", path}}}, 5)).size(), 1u);
  EXPECT_TRUE(ParseDone(FormatDone({"done name=" + path, "0123", 7})));
}

}  // namespace
}  // namespace lockstep::records
