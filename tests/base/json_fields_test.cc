#include "base/json_fields.h"

#include <gmock/gmock.h>

namespace lockstep {
namespace {

using testing::HasSubstr;

TEST(Json, OnlyWholeObjectsAreRows) {
  EXPECT_EQ(ParseJsonObject("{\"a\": 1}"), Json({{"a", 1}}));
  for (const char* other : {"", "[1]", "3", "{\"a\": ", "{\"a\": \"\xe9\"}", "\xff"})
    EXPECT_TRUE(ParseJsonObject(other).is_null()) << other;
  const std::vector<Json> rows = ParseJsonRows("{\"a\":1}\n[2]\nrubbish\n\n{\"a\":3}\n{\"a\":");
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(FieldOr(rows[1], "a", 0), 3);
}

TEST(Json, FieldsOfAnotherTypeAreNotThere) {
  const Json row = {{"text", "x"}, {"number", 3}, {"negative", -1}, {"fraction", 1.5}, {"list", {1}}, {"yes", true}};
  EXPECT_EQ(FieldOr<uint32_t>(row, "number", 7), 3u);
  EXPECT_EQ(FieldOr<uint32_t>(row, "negative", 7), 7u);
  EXPECT_EQ(FieldOr<int>(row, "negative", 7), -1);
  EXPECT_EQ(FieldOr<uint8_t>(Json{{"n", 300}}, "n", 7), 7);
  EXPECT_EQ(FieldOr<int>(row, "fraction", 7), 7);
  EXPECT_EQ(NumberOr(row, "number"), 3.0);
  EXPECT_EQ(NumberOr(row, "text", 2.5), 2.5);
  EXPECT_EQ(TextOr(row, "list"), "");
  EXPECT_EQ(TextOr(row, "absent", "o"), "o");
  EXPECT_TRUE(FieldOr(row, "yes", false));
  EXPECT_FALSE(FieldOr(row, "number", false));
  using Texts = std::map<std::string, std::string>;
  EXPECT_EQ(FieldOr<Texts>({{"m", {{"cpu", "x"}}}}, "m", {}), (Texts{{"cpu", "x"}}));
  EXPECT_EQ(FieldOr<Texts>({{"m", {{"cpu", 1}}}}, "m", {}), Texts());
  for (const Json& no_object : {Json(), Json(3), Json::array({1})}) EXPECT_EQ(FieldOr(no_object, "a", 5), 5);
}

TEST(Json, BytesThatAreNoUtf8AreWrittenAllTheSame) {
  EXPECT_EQ(DumpJson(Json{{"path", "/runs/\xe9t\xe9"}}), "{\"path\":\"/runs/\xef\xbf\xbdt\xef\xbf\xbd\"}");
  EXPECT_FALSE(ParseJsonObject(DumpJson(nlohmann::ordered_json{{"p", "\xe9"}}, 2)).is_null());
}

TEST(JsonFields, SayWhatIsDamaged) {
  const JsonFields::Damaged damaged = [](const std::string& what) { throw Error(ErrorKind::kData, what, "f.json"); };
  const Json object = {{"text", "x"}, {"number", 3}, {"list", {"a", "b"}}, {"mixed", {"a", 1}}};
  const JsonFields fields(object, damaged);
  EXPECT_EQ(fields.Get<std::string>("text"), "x");
  EXPECT_EQ(fields.Get<uint64_t>("number"), 3u);
  EXPECT_EQ(fields.GetOr<int>("absent", 9), 9);
  EXPECT_THAT(fields.Texts("list"), testing::ElementsAre("a", "b"));
  const auto message = [](const auto& read) {
    try {
      read();
    } catch (const Error& error) {
      return error.message();
    }
    return std::string("no error");
  };
  EXPECT_EQ(message([&] { fields.Get<int>("absent"); }), "there is no \"absent\"");
  EXPECT_EQ(message([&] { fields.Get<int>("text"); }), "\"text\" is no number that fits");
  EXPECT_EQ(message([&] { fields.Get<std::string>("number"); }), "\"number\" is no text");
  EXPECT_EQ(message([&] { fields.GetOr<std::string>("number", ""); }), "\"number\" is no text");
  EXPECT_EQ(message([&] { fields.List("text"); }), "\"text\" is no list");
  EXPECT_THAT(message([&] { fields.Texts("mixed"); }), HasSubstr("no text"));
  EXPECT_EQ(message([&] { JsonFields(Json(3), damaged); }), "it is no JSON object");
}

}  // namespace
}  // namespace lockstep
