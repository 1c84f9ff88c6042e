#include "launch/recipe/recipe_fields.h"

#include <set>

namespace lockstep::launch {

bool IsPath(const google::protobuf::FieldDescriptor& field) {
  static const std::set<std::string> kPaths = {"lockstep.data.Idx.images",
                                               "lockstep.data.Idx.labels",
                                               "lockstep.data.Cifar.files",
                                               "lockstep.data.Csv.file",
                                               "lockstep.data.Text.file",
                                               "lockstep.data.Tokens.files",
                                               "lockstep.data.Speech.manifest",
                                               "lockstep.data.Parallel.source",
                                               "lockstep.data.Parallel.target",
                                               "lockstep.data.ByteLevelBpe.vocabulary",
                                               "lockstep.data.ByteLevelBpe.merges",
                                               "lockstep.data.TokenizerConfig.tokenizer_json",
                                               "lockstep.data.TokenizerConfig.sentencepiece",
                                               "lockstep.loop.TrainConfig.init_from"};
  return kPaths.count(field.full_name()) > 0;
}

}  // namespace lockstep::launch
