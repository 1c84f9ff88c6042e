// The family recurrent: layers of LSTMs or GRUs over a sequence, with the parameter names of PyTorch's modules
// ("lstm.weight_ih_l0", "lstm.weight_hh_l1_reverse").
#include <cmath>

#include "trainer/models/blocks.h"

namespace lockstep::models {

using graph::Builder;
using graph::ValueId;

ValueId BuildRecurrent(Builder& builder, ValueId x, ValueId length, const Recurrent& config, int outputs) {
  RequireRange("model.recurrent.layers", config.layers(), 1, 1000);
  RequireRange("model.recurrent.hidden", config.hidden(), 1, kMaxWidth);
  RequireProbability("model.recurrent.dropout", config.dropout());
  const bool gru = config.cell() == Cell::GRU;
  const auto dropout = [&](ValueId value) {
    return config.dropout() > 0 ? builder.Dropout(value, static_cast<float>(config.dropout())) : value;
  };
  const auto direction = [&](ValueId value, int layer, bool reverse) {
    return gru ? builder.Gru(value, "gru", {config.hidden(), length, reverse, layer})
               : builder.Lstm(value, "lstm", {config.hidden(), length, reverse, layer});
  };
  for (int layer = 0; layer < static_cast<int>(config.layers()); ++layer) {
    if (layer > 0) x = dropout(x);
    const ValueId forwards = direction(x, layer, false);
    x = config.bidirectional() ? builder.Concat(forwards, direction(x, layer, true)) : forwards;
  }
  return AddTorchLinear(builder, dropout(x), "out", outputs);
}

}  // namespace lockstep::models
