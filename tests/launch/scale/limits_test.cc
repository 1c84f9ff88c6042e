// What hosts and links can do: measured on ranks of simulated hosts, kept, and said beside the steps.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <mutex>
#include <set>
#include <thread>

#include "comm/local/local_communicator.h"
#include "launch/scale/limits_text.h"
#include "launch/scale/measure_links.h"
#include "launch/scale/study_folder.h"
#include "launch/scale/study_page.h"
#include "launch/scale/study_text.h"

namespace lockstep::launch {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

constexpr LinkRequest kShort{.seconds = 0.002, .least_messages = 2};

std::vector<LinkLimit> MeasureOn(const comm::LocalWorldOptions& options) {
  std::vector<LinkLimit> links;
  std::mutex mutex;
  comm::RunLocalWorld(options, [&](comm::Communicator& comm) {
    const std::vector<LinkLimit> all = MeasureLinks(comm, kShort);
    const std::scoped_lock lock(mutex);
    if (!links.empty()) {
      EXPECT_EQ(all.size(), links.size());
    }
    links = all;
  });
  return links;
}

TEST(MeasureLinks, EachTwoHostsBothWaysAndEachHostOfSeveralRanks) {
  const std::vector<LinkLimit> links = MeasureOn({.world_size = 6, .ranks_per_host = {3, 1, 2}});
  std::vector<std::pair<std::string, std::string>> ways;
  std::set<std::string> hosts;
  for (const LinkLimit& link : links) {
    ways.emplace_back(link.from, link.to);
    hosts.insert(link.from);
    EXPECT_GT(link.gbit, 0);
    EXPECT_GT(link.latency_us, 0);
  }
  ASSERT_EQ(hosts.size(), 3u);
  std::vector<std::pair<std::string, std::string>> expected;
  for (const std::string& from : hosts)
    for (const std::string& to : hosts) expected.emplace_back(from, to);
  // The second host has one rank, which has nobody there to talk to.
  const std::string& alone = *std::next(hosts.begin());
  std::erase(expected, std::pair(alone, alone));
  EXPECT_THAT(ways, testing::UnorderedElementsAreArray(expected));
}

TEST(MeasureLinks, OneRankHasNoLinks) { EXPECT_THAT(MeasureOn({.world_size = 1}), IsEmpty()); }

TEST(MeasureLinks, WhatDelaysMessagesIsLatency) {
  // Every operation of rank 1 begins two milliseconds late: half of a round trip with it is at least one.
  const auto delay = [](int rank, int64_t) {
    if (rank == 1) std::this_thread::sleep_for(std::chrono::milliseconds(2));
  };
  const std::vector<LinkLimit> links = MeasureOn({.world_size = 2, .ranks_per_host = {1, 1}, .on_operation = delay});
  ASSERT_EQ(links.size(), 2u);
  for (const LinkLimit& link : links) EXPECT_GE(link.latency_us, 1000);
}

HostLimits TwoHosts() {
  return {.hosts = {{"h1", 2, 80, 9}, {"h2", 2, 40, 8}},
          .links = {{"h1", "h2", 0.2, 60}, {"h2", "h1", 0.1, 70}, {"h1", "h1", 30, 2}}};
}

/// A study at 1 and 2 ranks, each on a host of its own, of a model of 125,000 parameters.
StudyFacts Facts() {
  StudyFacts facts{.recipe = "r.textproto", .name = "toy"};
  Recipe recipe;
  recipe.mutable_train()->set_global_batch(32);
  recipe.mutable_train()->set_lanes(4);
  facts.request = {.ranks = {1, 2}, .repeats = 1, .steps = 10};
  facts.points = PointsOf(facts.request, recipe);
  facts.parameters = 125'000;
  facts.hosts = TwoHosts();
  return facts;
}

std::vector<RunResult> Results() {
  std::vector<RunResult> results;
  for (const int ranks : {1, 2}) {
    RunResult run{.point = ranks == 1 ? "r1" : "r2", .seconds_per_step = 0.1, .samples_per_s = 320, .steps = 10};
    // In ten steps h1 sends 5 MB, h2 4 MB; 0.02 s of each step are exchange.
    for (int rank = 0; rank < ranks; ++rank)
      run.ranks.push_back({rank == 0 ? "h1" : "h2",
                           {{"forward", 0.5}, {"exchange", 0.2}},
                           0.5,
                           5,
                           ranks == 1  ? 0
                           : rank == 0 ? 5'000'000u
                                       : 4'000'000u});
    results.push_back(run);
  }
  return results;
}

TEST(LinkUse, TheSlowestHostsLinkTellsHowLongTheLinksAloneTake) {
  const LinkUse use = LinkUseOf(Results()[1], TwoHosts());
  EXPECT_EQ(use.hosts, 2);
  EXPECT_EQ(use.host_bytes, 500'000);
  // h1: 0.5 MB at 0.2 Gbit/s are 20 ms; h2: 0.4 MB at 0.1 Gbit/s are 32 ms.
  EXPECT_NEAR(use.link_seconds, 0.032, 1e-12);
  EXPECT_EQ(LinkUseOf(Results()[1], {}).link_seconds, 0);
  EXPECT_EQ(LinkUseOf(Results()[0], TwoHosts()).link_seconds, 0);
  EXPECT_EQ(LeastHostBytes(500'000, 2), 500'000);
  EXPECT_EQ(LeastHostBytes(500'000, 4), 750'000);
  EXPECT_EQ(LeastHostBytes(500'000, 1), 0);
}

TEST(HostLimits, AreReadAsTheyWereWritten) {
  const HostLimits limits = TwoHosts(), read = ParseHostLimits(ParseJsonObject(DumpJson(HostLimitsJson(limits))));
  ASSERT_EQ(read.hosts.size(), 2u);
  EXPECT_EQ(read.hosts[1].name, "h2");
  EXPECT_EQ(read.hosts[1].cores, 2);
  EXPECT_EQ(read.hosts[1].matrix_gflops, 40);
  EXPECT_EQ(read.hosts[1].copy_gb_s, 8);
  ASSERT_EQ(read.links.size(), 3u);
  ASSERT_NE(read.Find("h2", "h1"), nullptr);
  EXPECT_EQ(read.Find("h2", "h1")->gbit, 0.1);
  EXPECT_EQ(read.Find("h2", "h1")->latency_us, 70);
  EXPECT_EQ(read.Find("h2", "h2"), nullptr);
  EXPECT_EQ(read.BetweenHosts().size(), 2u);
}

TEST(HostLimits, WhatCannotBeReadIsLeftOut) {
  const auto parse = [](const char* text) { return ParseHostLimits(ParseJsonObject(text)); };
  EXPECT_TRUE(parse("no object").empty());
  EXPECT_TRUE(parse(R"({"hosts": 1, "links": {"a": 2}})").empty());
  EXPECT_TRUE(parse(R"({"hosts": [{"cores": 1}, 7], "links": [{"from": "a", "to": "b", "gbit": "x"}, null]})").empty());
  EXPECT_EQ(parse(R"({"hosts": [{"name": "a"}]})").hosts.size(), 1u);
}

TEST(HostLimits, AStudyKeepsThemBesideItsOwn) {
  StudyFacts facts = Facts();
  facts.limits["matrix_gflops"] = 40;
  const StudyFacts read = ParseFacts(FormatFacts(facts), "x");
  EXPECT_EQ(read.limits, facts.limits);
  EXPECT_EQ(read.hosts.hosts.size(), 2u);
  EXPECT_EQ(read.hosts.links.size(), 3u);
}

TEST(LimitsText, AHostsRowHasItsLinks) {
  const TextTable table = HostTable(TwoHosts());
  EXPECT_THAT(table.heading, ElementsAre("host", "cores", "GFLOP/s", "copies, GB/s", "to h1", "to h2"));
  ASSERT_EQ(table.rows.size(), 2u);
  EXPECT_THAT(table.rows[0], ElementsAre("h1", "2", "80.0", "9.0", "30 Gbit/s, 2 us", "0.2 Gbit/s, 60 us"));
  EXPECT_THAT(table.rows[1], ElementsAre("h2", "2", "40.0", "8.0", "0.1 Gbit/s, 70 us", "-"));
  EXPECT_THAT(SlowLinkTable(TwoHosts()).rows, IsEmpty());
  EXPECT_THAT(HostTable({}).rows, IsEmpty());
}

TEST(LimitsText, OfManyHostsTheSlowestLinksAreSaid) {
  HostLimits limits;
  for (int i = 0; i < 12; ++i) limits.hosts.push_back({"h" + std::to_string(i), 1, 10, 1});
  for (int i = 0; i < 12; ++i)
    for (int j = 0; j < 12; ++j)
      limits.links.push_back({limits.hosts[i].name, limits.hosts[j].name, i == 7 && j == 3 ? 0.5 : 10, 5});
  EXPECT_EQ(HostTable(limits).heading.size(), 4u);
  const TextTable slow = SlowLinkTable(limits);
  ASSERT_EQ(slow.rows.size(), 8u);
  EXPECT_THAT(slow.rows[0], ElementsAre("h7", "h3", "0.5 Gbit/s", "5 us"));
}

TEST(LimitsText, StepsStandBesideWhatTheirLinksTakeAlone) {
  const StudyFacts facts = Facts();
  const StudySummary summary = Summarize(facts, Results());
  const TextTable table = LinkTable(facts, summary);
  ASSERT_EQ(table.rows.size(), 1u);  // one rank uses no link
  EXPECT_THAT(table.rows[0], ElementsAre("2", "2", "0.5 MB", "0.5 MB", "32 ms", "20 ms", "100 ms"));
  const std::vector<std::string> findings = Findings(facts, summary);
  EXPECT_THAT(findings, Contains(HasSubstr("links between hosts carry 0.15 Gbit/s each way (0.1 to 0.2); half a round "
                                           "trip takes 65 us (medians of 2 ways")));
  EXPECT_THAT(findings, Contains(HasSubstr("at 2 ranks on 2 hosts a host sends up to 0.5 MB a step (any all-reduce of "
                                           "float32 gradients: at least 0.5 MB), for which its link alone would take "
                                           "32 ms: 32.0 % of a step, of which 20.0 % are exchange")));
  EXPECT_THAT(StudyPage(facts, summary, ""), HasSubstr("What hosts and links can do"));
  EXPECT_THAT(MarkdownReport(facts, summary), HasSubstr("| h2 | 2 | 40.0 | 8.0 |"));
  EXPECT_THAT(JsonReport(facts, summary), HasSubstr("\"link_seconds\": 0.032"));
}

TEST(LimitsText, NothingIsSaidOfLinksThatWereNotMeasured) {
  StudyFacts facts = Facts();
  facts.hosts = {};
  const StudySummary summary = Summarize(facts, Results());
  EXPECT_THAT(Findings(facts, summary), Not(Contains(HasSubstr("link"))));
  EXPECT_EQ(LinkTable(facts, summary).rows[0][4], "");
}

}  // namespace
}  // namespace lockstep::launch
