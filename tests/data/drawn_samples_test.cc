#include "data/drawn_samples.h"

#include <gtest/gtest.h>

#include <set>

#include "data/open/open_dataset.h"

namespace lockstep::data {
namespace {

std::shared_ptr<const Dataset> Whole() {
  Source source;
  source.mutable_synthetic()->set_samples(1000);
  source.mutable_synthetic()->set_features(4);
  return OpenDataset(source, "data.train", 1);
}

std::set<std::vector<std::byte>> SamplesOf(const Dataset& dataset) {
  std::set<std::vector<std::byte>> samples;
  Sample sample;
  for (uint64_t id = 0; id < dataset.size(); ++id) {
    dataset.Read(0, id, sample);
    samples.insert(sample.tensors[0].bytes);
  }
  return samples;
}

TEST(DrawSamples, TakesDifferentSamplesOfTheWhole) {
  const auto whole = Whole(), part = DrawSamples(whole, 100, 7);
  EXPECT_EQ(part->size(), 100u);
  const auto all = SamplesOf(*whole), drawn = SamplesOf(*part);
  EXPECT_EQ(drawn.size(), 100u);
  for (const auto& sample : drawn) EXPECT_TRUE(all.contains(sample));
  EXPECT_EQ(part->fingerprint(), whole->fingerprint());
}

TEST(DrawSamples, TheSeedDecides) {
  const auto whole = Whole();
  EXPECT_EQ(SamplesOf(*DrawSamples(whole, 50, 7)), SamplesOf(*DrawSamples(whole, 50, 7)));
  EXPECT_NE(SamplesOf(*DrawSamples(whole, 50, 7)), SamplesOf(*DrawSamples(whole, 50, 8)));
}

TEST(DrawSamples, AllOfThemAreTheWhole) {
  const auto whole = Whole();
  for (const uint64_t count : {0, 1000, 5000}) EXPECT_EQ(DrawSamples(whole, count, 7), whole) << count;
}

}  // namespace
}  // namespace lockstep::data
