#include "tests/trainer/run/train_world.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <cstring>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/error.h"
#include "base/file.h"
#include "comm/local/local_communicator.h"
#include "data/open_dataset.h"
#include "data/transform.h"
#include "trainer/checkpoint/checkpoint.h"
#include "trainer/kernels/onednn/onednn_backend.h"
#include "trainer/models/models.h"
#include "trainer/records/run_folder.h"
#include "trainer/run/train.h"

namespace lockstep::run {
namespace {

template <typename Message>
Message Parse(const std::string& text) {
  Message message;
  CHECK(google::protobuf::TextFormat::ParseFromString(text, &message), "{}", text);
  return message;
}

/// Entries of maps in order of their keys.
std::string Serialise(const google::protobuf::Message& message) {
  std::string text;
  {
    google::protobuf::io::StringOutputStream stream(&text);
    google::protobuf::io::CodedOutputStream coded(&stream);
    coded.SetSerializationDeterministic(true);
    message.SerializeToCodedStream(&coded);
  }
  return text;
}

}  // namespace

plan::Job MakeSmallJob(const TrainSetup& setup, comm::Communicator& comm, const std::string& folder) {
  plan::Job job;
  job.name = "small";
  job.folder = folder;
  job.comm = &comm;
  job.train = Parse<plan::TrainConfig>(setup.train);
  if (job.train.lane_threads() == 0) job.train.set_lane_threads(1);
  if (job.train.evaluation_block() == 0) job.train.set_evaluation_block(16);
  if (job.train.log_every_steps() == 0) job.train.set_log_every_steps(1);
  if (job.train.certificate_every_steps() == 0) job.train.set_certificate_every_steps(4);
  job.optimizer = Parse<optim::OptimizerConfig>(setup.optimizer);
  job.checkpoint = Parse<checkpoint::CheckpointConfig>(setup.checkpoint);
  job.data = Parse<data::DataConfig>(setup.data +
                                     " train { synthetic { samples: 150 features: 20 classes: 4 } }"
                                     " test { synthetic { samples: 70 features: 20 classes: 4 } }");
  job.splits.train = data::OpenDataset(job.data.train(), "data.train", job.train.seed());
  job.splits.test = data::OpenDataset(job.data.test(), "data.test", job.train.seed() + 1);
  job.splits.transform = data::MakeTransform(job.splits.train->fields(), job.data, job.train.seed());
  job.splits.batches = data::MakeBatches(job.splits.train, job.splits.transform,
                                         {.seed = job.train.seed(),
                                          .lanes = static_cast<int>(job.train.lanes()),
                                          .global_batch = job.train.global_batch()});
  const models::DataShape shape{.input = "features", .sample = {20}, .classes = 4};
  job.build_model = [model = Parse<models::ModelConfig>(setup.model), shape](graph::Mode mode,
                                                                             const data::BatchShape& batch) {
    return models::Build(model, shape, mode, batch.rows);
  };
  job.backend = MakeOneDnnBackend({1, DetectIsa()});
  job.recipe.resolved = job.recipe.identity =
      job.train.ShortDebugString() + job.optimizer.ShortDebugString() + setup.model;
  job.recipe.check_continues = [](const std::string&, bool) {};
  job.recipe.describe_difference = [](const std::string&, const std::string&) { return "the recipe"; };
  job.quiet = true;
  if (setup.change) setup.change(job);
  return job;
}

TrainOutcome TrainOnThreads(const TrainSetup& setup, int ranks, const std::string& folder,
                            std::vector<int> ranks_per_node, int executors, FileSystem& files) {
  std::string line;
  comm::RunLocalWorld({ranks, std::move(ranks_per_node), {}}, [&](comm::Communicator& comm) {
    plan::Job job = MakeSmallJob(setup, comm, folder);
    job.executors = executors;
    job.files = &files;
    const std::string mine = Train(job).line;
    if (comm.rank() == 0) line = mine;
  });
  return OutcomeOf(folder, line);
}

TrainOutcome OutcomeOf(const std::string& folder, const std::string& line) {
  TrainOutcome outcome;
  outcome.line = line;
  if (const size_t at = line.find(" weights="); at != std::string::npos) outcome.weights = line.substr(at + 9, 16);
  const auto reader = checkpoint::OpenPath(FileSystem::Real(), folder);
  const checkpoint::Manifest& manifest = reader->manifest();
  for (int i = 0; i < manifest.arrays_size(); ++i) {
    std::vector<float>& array = outcome.arrays[manifest.arrays(i)];
    array.resize(static_cast<size_t>(manifest.arena_elements()));
    reader->Read(i, 0, array);
  }
  outcome.loop_state = Serialise(manifest.loop());
  std::istringstream rows(ReadWholeFile(FileSystem::Real(), records::RunFolder(FileSystem::Real(), folder).metrics()));
  for (std::string row; std::getline(rows, row);) {
    nlohmann::json object = nlohmann::json::parse(row);
    for (const char* name : {"samples_per_s", "time", "attempt", "checkpoint_seconds"}) object.erase(name);
    outcome.metrics.push_back(object.dump());
  }
  return outcome;
}

void ExpectEqual(const TrainOutcome& a, const TrainOutcome& b) {
  EXPECT_EQ(a.weights, b.weights);
  EXPECT_EQ(a.metrics, b.metrics);
  EXPECT_EQ(a.loop_state, b.loop_state);
  ASSERT_EQ(a.arrays.size(), b.arrays.size());
  for (const auto& [name, array] : a.arrays) {
    ASSERT_TRUE(b.arrays.count(name)) << name;
    const std::vector<float>& other = b.arrays.at(name);
    ASSERT_EQ(array.size(), other.size()) << name;
    EXPECT_EQ(std::memcmp(array.data(), other.data(), array.size() * sizeof(float)), 0) << name;
  }
}

}  // namespace lockstep::run
