#include "trainer/plan/run_identity.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"

namespace lockstep::plan {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

RunIdentity Of(std::vector<RunIdentity::Field> fields) { return {"", "", std::move(fields)}; }

RunIdentity Sgd(const std::string& momentum, const std::string& steps, const std::string& lanes = "8") {
  return Of({{"train", ""},
             {"train.steps", steps},
             {"train.lanes", lanes, /*numerics=*/true},
             {"optimizer", ""},
             {"optimizer.sgd", ""},
             {"optimizer.sgd.momentum", momentum}});
}

std::string ErrorOf(const RunIdentity& before, const RunIdentity& now, const AllowedChanges& allowed) {
  try {
    CheckContinues(before, now, allowed);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kMixed);
    return error.message();
  }
  return "";
}

TEST(RunIdentity, NamesTheFieldsThatDiffer) {
  EXPECT_THAT(Sgd("0.9", "10").Compare(Sgd("0.9", "10")), IsEmpty());
  EXPECT_THAT(Sgd("0.9", "10").Compare(Sgd("0.8", "12")), ElementsAre("train.steps", "optimizer.sgd.momentum"));
  EXPECT_THAT(RunIdentity().Compare(RunIdentity()), IsEmpty());
}

TEST(RunIdentity, NamesAMessageThatOneHasAloneInsteadOfItsFields) {
  const RunIdentity adam = Of({{"train", ""},
                               {"train.steps", "10"},
                               {"train.lanes", "8", true},
                               {"optimizer", ""},
                               {"optimizer.adam", ""},
                               {"optimizer.adam.beta1", "0.9"},
                               {"optimizer.adam_epsilon", "1"}});
  EXPECT_THAT(Sgd("0.9", "10").Compare(adam), ElementsAre("optimizer.sgd", "optimizer.adam", "optimizer.adam_epsilon"));
}

TEST(RunIdentity, ItsHashIsThatOfTheText) {
  EXPECT_EQ(RunIdentity("resolved", "a", {}).Hash(), RunIdentity("", "a", {{"train", ""}}).Hash());
  EXPECT_NE(RunIdentity("", "a", {}).Hash(), RunIdentity("", "b", {}).Hash());
}

TEST(CheckContinues, ARunMayGetLongerWhereItsScheduleAllows) {
  EXPECT_EQ(ErrorOf(Sgd("0.9", "10"), Sgd("0.9", "12"), {.longer = true}), "");
  EXPECT_THAT(ErrorOf(Sgd("0.9", "10"), Sgd("0.9", "12"), {}), HasSubstr("train.steps"));
  EXPECT_THAT(ErrorOf(Sgd("0.9", "10"), Sgd("0.9", "9"), {.longer = true}), HasSubstr("train.steps"));
  EXPECT_THAT(ErrorOf(Sgd("0.9", "10"), Sgd("0.8", "12"), {.longer = true}), HasSubstr("optimizer.sgd.momentum"));
}

TEST(CheckContinues, WhatSteersMayChangeWhereItIsSaid) {
  const RunIdentity before = {
      "", "a", {{"model.mlp", ""}, {"optimizer.learning_rate", "0.001"}, {"train.steps", "100"}}};
  const RunIdentity slower = {
      "", "b", {{"model.mlp", ""}, {"optimizer.learning_rate", "0.0001"}, {"train.steps", "50"}}};
  EXPECT_EQ(CheckContinues(before, slower, {.steering = true}),
            (std::vector<std::string>{"optimizer.learning_rate: 0.001 -> 0.0001", "train.steps: 100 -> 50"}));
  try {
    CheckContinues(before, slower, {});
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_NE(error.hint().find("--change recipe"), std::string::npos);
  }
  const RunIdentity other = {
      "", "c", {{"model.gpt", ""}, {"optimizer.learning_rate", "0.0001"}, {"train.steps", "100"}}};
  EXPECT_THROW(CheckContinues(before, other, {.steering = true}), Error);
}

TEST(CheckContinues, NumericsMayChangeWhereTheyAreSaidTo) {
  EXPECT_EQ(ErrorOf(Sgd("0.9", "10"), Sgd("0.9", "10", "4"), {.numerics = true}), "");
  EXPECT_THAT(ErrorOf(Sgd("0.9", "10"), Sgd("0.9", "10", "4"), {}), HasSubstr("other numerics"));
  EXPECT_THAT(ErrorOf(Sgd("0.9", "10"), Sgd("0.8", "10", "4"), {.numerics = true}), HasSubstr("another recipe"));
}

}  // namespace
}  // namespace lockstep::plan
