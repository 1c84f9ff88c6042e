#include "tests/trainer/run/train_world.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <cstring>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/error.h"
#include "base/files/file.h"
#include "comm/local/local_communicator.h"
#include "data/batches/make_batches.h"
#include "data/open/make_transform.h"
#include "data/open/open_dataset.h"
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

Job MakeSmallJob(const TrainSetup& setup, comm::Communicator& comm) {
  Job job;
  job.config.name = "small";
  job.place.comm = &comm;
  job.config.train = Parse<plan::TrainConfig>(setup.train);
  if (job.config.train.lane_threads() == 0) job.config.train.set_lane_threads(1);
  if (job.config.train.evaluation_block() == 0) job.config.train.set_evaluation_block(16);
  if (job.config.train.log_every_steps() == 0) job.config.train.set_log_every_steps(1);
  if (job.config.train.certificate_every_steps() == 0) job.config.train.set_certificate_every_steps(4);
  job.config.optimizer = Parse<optim::OptimizerConfig>(setup.optimizer);
  job.config.checkpoint = Parse<checkpoint::CheckpointConfig>(setup.checkpoint);
  job.config.data = Parse<data::DataConfig>(setup.data +
                                            " train { synthetic { samples: 150 features: 20 classes: 4 } }"
                                            " test { synthetic { samples: 70 features: 20 classes: 4 } }");
  job.splits.train = data::OpenDataset(job.config.data.train(), "data.train", job.config.train.seed());
  job.splits.test = data::OpenDataset(job.config.data.test(), "data.test", job.config.train.seed() + 1);
  job.splits.transform = data::MakeTransform(job.splits.train->fields(), job.config.data, job.config.train.seed());
  job.splits.batches = data::MakeBatches(job.splits.train, job.splits.transform,
                                         {.seed = job.config.train.seed(),
                                          .lanes = static_cast<int>(job.config.train.lanes()),
                                          .global_batch = job.config.train.global_batch()});
  const models::DataShape shape{.input = "features", .sample = {20}, .classes = 4};
  job.model.build = [model = Parse<models::ModelConfig>(setup.model), shape](graph::Mode mode,
                                                                             const data::BatchShape& batch) {
    return models::Build(model, shape, mode, batch.rows);
  };
  job.place.backend = MakeOneDnnBackend({1, DetectIsa()});
  const std::string text = job.config.train.ShortDebugString() + job.config.optimizer.ShortDebugString() + setup.model;
  job.config.identity = {text, text, {{"train", job.config.train.ShortDebugString()}, {"model", setup.model}}};
  if (setup.change) setup.change(job);
  job.splits.length = plan::LengthOf(job.config.train, *job.splits.batches);
  return job;
}

Start MakeSmallStart(const Job& job, const std::string& folder) {
  Start start;
  start.folder = folder;
  start.read_identity = [identity = job.config.identity](const std::string&) { return identity; };
  start.quiet = true;
  return start;
}

TrainOutcome TrainOnThreads(const TrainSetup& setup, int ranks, const std::string& folder,
                            std::vector<int> ranks_per_host, int executors, FileSystem& files) {
  std::string line;
  comm::RunLocalWorld({ranks, std::move(ranks_per_host), {}}, [&](comm::Communicator& comm) {
    Job job = MakeSmallJob(setup, comm);
    job.place.executors = executors;
    Start start = MakeSmallStart(job, folder);
    start.files = &files;
    const std::string mine = Train(job, start).line;
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
    for (const char* name :
         {"samples_per_s", "time", "attempt", "checkpoint_seconds", "data_seconds", "evaluation_seconds"})
      object.erase(name);
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
