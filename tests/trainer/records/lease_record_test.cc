#include "trainer/records/lease_record.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/base/error_of.h"

namespace lockstep::records {
namespace {

using ::testing::HasSubstr;

TEST(LeaseHolderTest, DeathIsProvedOnlyWhereItCanBeSeen) {
  LeaseHolder alive = LeaseHolder::Self();
  EXPECT_FALSE(ProvablyDead(alive));
  LeaseHolder before = alive;
  before.pid_start -= 1;
  EXPECT_TRUE(ProvablyDead(before)) << "the pid was given to another process";
  for (std::string LeaseHolder::*field : {&LeaseHolder::host, &LeaseHolder::boot_id, &LeaseHolder::pid_namespace}) {
    LeaseHolder elsewhere = before;
    elsewhere.*field = "other";
    EXPECT_FALSE(ProvablyDead(elsewhere));
  }
}

TEST(LeaseRecordTest, IsReadBackAsWritten) {
  LeaseRecord record;
  record.holder = LeaseHolder::Self();
  record.holder.slurm_job = "12_3";
  record.holder.slurm_restart = 2;
  record.holder.attempt = 5;
  record.sequence = 1ull << 60;
  record.period_seconds = 2;
  record.step = 7;
  record.time = 1795262243;
  const LeaseRecord read = ParseLease(FormatLease(record), "");
  EXPECT_EQ(FormatLease(read), FormatLease(record));
  EXPECT_EQ(read.sequence, record.sequence);
  EXPECT_EQ(read.holder.boot_id, record.holder.boot_id);
}

TEST(LeaseRecordTest, ANewerVersionIsRefusedWithWords) {
  const Error error = ErrorOf([] { ParseLease("{\"version\": 2}", "lease.json"); });
  EXPECT_EQ(error.kind(), ErrorKind::kUsage);
  EXPECT_EQ(error.where(), "lease.json");
  EXPECT_THAT(error.message(), HasSubstr("newer"));
}

TEST(LeaseRecordTest, WhatIsNoLeaseIsRefused) {
  const std::string good = R"({"version":1,"id":"a","host":"h","pid":1,"sequence":1,"period_seconds":2})";
  EXPECT_NO_THROW(ParseLease(good, ""));
  const auto with = [&](const std::string& from, const std::string& to) {
    std::string text = good;
    return text.replace(text.find(from), from.size(), to);
  };
  for (const std::string& text :
       {with("\"pid\":1", "\"pid\":-1"), with("\"pid\":1", "\"pid\":\"1\""), with("\"pid\":1", "\"pid\":1e30"),
        with("\"h\"", "7"), with("\"h\"", "\"\""), with(":2}", ":0}"), with(":2}", ":1e9}"), with(":2}", ":null}"),
        with("\"version\":1", "\"version\":0"), std::string(1 << 17, ' '), std::string(60000, '[')})
    EXPECT_EQ(ErrorOf([&] { ParseLease(text, "lease.json"); }).where(), "lease.json") << text.substr(0, 100);
}

}  // namespace
}  // namespace lockstep::records
