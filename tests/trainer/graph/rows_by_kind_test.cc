#include "trainer/graph/rows_by_kind.h"

#include <gmock/gmock.h>

#include <string>

#include "trainer/graph/op_table.h"

namespace lockstep::graph {
namespace {

using testing::HasSubstr;

struct SomeRow {
  OpKind kind;
  int number;
};
constexpr SomeRow kFirst[] = {{OpKind::kLinear, 1}, {OpKind::kConcat, 2}};
constexpr SomeRow kSecond[] = {{OpKind::kSlice, 3}};
constexpr SomeRow kAgain[] = {{OpKind::kArgMax, 4}, {OpKind::kConcat, 5}};

template <typename Row>
std::string ErrorOf(std::initializer_list<std::span<const Row>> families) {
  try {
    CollectRows<Row>("a table", families);
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

TEST(RowsByKind, FindsTheRowsOfAllFamilies) {
  const RowsByKind<SomeRow> rows = CollectRows<SomeRow>("a table", {kFirst, kSecond});
  ASSERT_NE(rows.Find(OpKind::kConcat), nullptr);
  EXPECT_EQ(rows.Find(OpKind::kConcat)->number, 2);
  EXPECT_EQ(rows.Find(OpKind::kSlice)->number, 3);
  EXPECT_EQ(rows.Find(OpKind::kArgMax), nullptr);
}

TEST(RowsByKind, TwoRowsOfOneKindAreABugThatNamesTableAndKind) {
  EXPECT_THAT(ErrorOf<SomeRow>({kFirst, kSecond, kAgain}), HasSubstr("a table has two rows for concat"));
  EXPECT_THAT(ErrorOf<SomeRow>({kFirst, kFirst}), HasSubstr("a table has two rows for linear"));
}

TEST(RowsByKind, TheOpTableNamesItsRowsItself) {
  const std::span<const OpRow> concat(&Row(OpKind::kConcat), 1);
  EXPECT_THAT(ErrorOf<OpRow>({concat, concat}), HasSubstr("a table has two rows for concat"));
}

}  // namespace
}  // namespace lockstep::graph
