#include "trainer/infer/transcriber.h"

#include <algorithm>
#include <array>
#include <limits>

#include "base/error.h"
#include "base/files/memory_file.h"
#include "data/audio/resample.h"
#include "data/audio/speech_dataset.h"
#include "data/batches/length_classes.h"
#include "data/open/make_transform.h"
#include "trainer/infer/ctc_search.h"

namespace lockstep::infer {
namespace {

/// A recording as a sample of speech (data/audio/speech_dataset.h).
const std::array<data::Field, 3>& RecordingFields() {
  static const std::array<data::Field, 3> fields = {data::Field{"audio", DType::kF32, Shape{-1}},
                                                    data::Field{"part", DType::kI32, Shape{-1}},
                                                    data::Field{"label", DType::kI32, Shape{-1}, /*padding=*/-1}};
  return fields;
}

}  // namespace

Transcriber::Transcriber(const TrainedModel& model, const data::DataConfig& config, const data::SpeechOptions& speech,
                         const Options& options)
    : model_(model),
      speech_(speech),
      options_(options),
      transform_(data::MakeTransform(RecordingFields(), config, /*seed=*/0)) {
  CHECK(speech.alphabet != nullptr && options.beam >= 1);
}

Transcript Transcriber::TranscribeFile(const std::string& path) {
  data::ArchiveCache none;
  const auto recording = data::OpenRecording({.path = path, .transcript = "", .speaker = "", .line = 0},
                                             {.manifest = {"", path}, .sample_rate = speech_.sample_rate},
                                             speech_.archives == nullptr ? none : *speech_.archives);
  if (!recording) throw Error(ErrorKind::kData, "its archive could not be read before", path);
  std::vector<float> samples;
  data::ReadRecording(*recording, speech_.sample_rate, samples);
  return TranscribeSamples(samples);
}

Transcript Transcriber::TranscribeBytes(std::span<const std::byte> file) {
  const MemoryFile audio(file);
  const data::AudioHeader header = data::ReadAudioHeader(audio);
  data::RequireRate(header, speech_.sample_rate);
  std::vector<float> samples;
  data::DecodeAudio(audio, header, samples);
  if (header.rate != speech_.sample_rate) samples = data::Resample(samples, header.rate, speech_.sample_rate);
  return TranscribeSamples(samples);
}

Transcript Transcriber::TranscribeSamples(std::span<const float> samples) {
  const int64_t length = static_cast<int64_t>(samples.size());
  if (length > std::numeric_limits<int32_t>::max())
    throw Error(ErrorKind::kData, fmt::format("{} samples are more than a recording may have", length));
  data::Sample sample;
  sample.tensors.resize(RecordingFields().size());
  sample.tensors[0].Assign(samples);
  const auto part = static_cast<int32_t>(length);
  sample.tensors[1].Assign(std::span(&part, 1));
  sample.tensors[2].Assign(std::span<const int32_t>());

  const int64_t steps = transform_->SequenceLength({&length, 1}, 0, 0, /*augment=*/false);
  const int64_t row = data::LengthClassOf(steps);
  InferenceProgram& program = ProgramFor(row);
  std::vector<int32_t> label(static_cast<size_t>(row));
  int32_t label_length = 0;
  std::byte* const rows[] = {program.Input<std::byte>("features").data(), program.Input<std::byte>("length").data(),
                             reinterpret_cast<std::byte*>(label.data()), reinterpret_cast<std::byte*>(&label_length)};
  transform_->Apply(sample, 0, 0, /*augment=*/false, row, rows);
  program.Run();
  const auto classes = static_cast<size_t>(speech_.alphabet->classes());
  Hypothesis best =
      SearchCtc(program.Output<float>("logits").first(static_cast<size_t>(steps) * classes), classes, options_.beam);
  return {speech_.alphabet->Decode(best.tokens), best.score, std::move(best.tokens)};
}

InferenceProgram& Transcriber::ProgramFor(int64_t steps) {
  std::unique_ptr<InferenceProgram>& program = programs_[steps];
  if (program == nullptr)
    program = std::make_unique<InferenceProgram>(model_.graphs().build(1, steps).graph, model_.weights());
  return *program;
}

}  // namespace lockstep::infer
