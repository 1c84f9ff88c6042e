// The loops of recurrent layers, which are compiled once per instruction set: fused multiply-adds give the same bits at
// every width.
#include <gtest/gtest.h>

#include <vector>

#include "base/machine/cpu_info.h"
#include "base/philox.h"
#include "trainer/kernels/onednn/sequence/recurrent.h"

namespace lockstep::onednn {
namespace {

std::vector<float> Random(int64_t size, uint32_t key, float scale = 1) {
  const RandomStream stream{4, 2, key, 3};
  std::vector<float> values;
  for (uint32_t i = 0; i < static_cast<uint32_t>(size); ++i) values.push_back(scale * (2 * stream.Uniform(i) - 1));
  return values;
}

/// [gates, hidden, hidden] -> [panels, hidden, gates, 16], and -> groups of 64 columns [gates hidden, 64].
std::vector<float> Packed(const RecurrentShape& s, const std::vector<float>& weight) {
  std::vector<float> packed(static_cast<size_t>(s.panels() * s.hidden * s.gates * kPanel));
  for (int64_t i = 0; i < static_cast<int64_t>(weight.size()); ++i) {
    const int64_t k = i % s.hidden, unit = i / s.hidden % s.hidden, gate = i / (s.hidden * s.hidden);
    const int64_t at = ((unit / kPanel * s.hidden + k) * s.gates + gate) * kPanel + unit % kPanel;
    packed[static_cast<size_t>(at)] = weight[static_cast<size_t>(i)];
  }
  return packed;
}
std::vector<float> GradPacked(const RecurrentShape& s, const std::vector<float>& weight) {
  std::vector<float> packed(static_cast<size_t>(s.panels() * kPanel * s.gates * s.hidden));
  for (int64_t i = 0; i < static_cast<int64_t>(weight.size()); ++i) {
    const int64_t k = i % s.hidden, row = i / s.hidden, group = k / 64;
    const int64_t columns = std::min<int64_t>(64, s.panels() * kPanel - group * 64);
    packed[static_cast<size_t>(group * 64 * s.gates * s.hidden + row * columns + k % 64)] =
        weight[static_cast<size_t>(i)];
  }
  return packed;
}

/// Results forward and backward: y, the last states, dgates. `places` below 4 read the plain weight, as a backend does.
std::vector<float> Results(const RecurrentKernels& kernels, bool lstm, int64_t hidden, int64_t places) {
  const std::vector<int32_t> length = {5, 2, 0, 1, 4, 5, 3, 5, 5, 5, 2};
  const auto rows = static_cast<int64_t>(length.size());
  const RecurrentShape s{rows, places, hidden, lstm ? 4 : 3, lstm ? 5 : 4, /*reverse=*/true, length.data()};
  const auto of_size = [](int64_t size) { return std::vector<float>(static_cast<size_t>(size)); };
  const std::vector<float> weight = Random(s.gates * hidden * hidden, 1, 0.2f), packed = Packed(s, weight),
                           grad_packed = GradPacked(s, weight), gates = Random(rows * places * s.gates * hidden, 2),
                           bias = Random(s.gates * hidden, 3), state = Random(rows * hidden, 4),
                           dy = Random(rows * places * hidden, 5);
  std::vector<float> y = of_size(rows * places * hidden), saved = of_size(rows * places * s.saved * hidden),
                     last = of_size(rows * hidden), last_cell = of_size(rows * hidden),
                     a = of_size(rows * s.state_row()), b = a, c = a, products = of_size(rows * s.product_row()),
                     dgates = of_size(rows * places * s.gates * hidden), dproducts = dgates;
  std::vector<int32_t> active(static_cast<size_t>(rows));
  const float* const cell = lstm ? state.data() : nullptr;
  const RecurrentJob forward{s,
                             gates.data(),
                             weight.data(),
                             places < 4 ? nullptr : packed.data(),
                             bias.data(),
                             state.data(),
                             cell,
                             y.data(),
                             saved.data(),
                             last.data(),
                             lstm ? last_cell.data() : nullptr,
                             a.data(),
                             b.data(),
                             c.data(),
                             active.data()};
  (lstm ? kernels.lstm : kernels.gru)(forward, 0, rows);
  const RecurrentGradJob backward{s,
                                  dy.data(),
                                  y.data(),
                                  saved.data(),
                                  grad_packed.data(),
                                  state.data(),
                                  cell,
                                  dgates.data(),
                                  dproducts.data(),
                                  a.data(),
                                  b.data(),
                                  products.data(),
                                  active.data()};
  (lstm ? kernels.lstm_grad : kernels.gru_grad)(backward, 0, rows);
  for (const std::vector<float>* part : {&last, &last_cell, &dgates}) y.insert(y.end(), part->begin(), part->end());
  return y;
}

#ifdef LOCKSTEP_FUSED_X86
TEST(RecurrentLoopsTest, Avx2AndAvx512GiveTheSameBits) {
  if (DetectIsa() < Isa::kAvx512) GTEST_SKIP() << "this machine has no AVX-512";
  for (const bool lstm : {false, true}) {
    for (const int64_t hidden : {5, 37, 64, 150}) {
      for (const int64_t places : {1, 5}) {
        EXPECT_EQ(Results(kRecurrentAvx2, lstm, hidden, places), Results(kRecurrentAvx512, lstm, hidden, places))
            << lstm << " " << hidden << " " << places;
      }
    }
  }
}

TEST(RecurrentLoopsTest, MachinesWithoutFusedMultiplyAddsAreCloseToThoseWithThem) {
  if (DetectIsa() < Isa::kAvx2) GTEST_SKIP() << "this machine has no AVX2";
  for (const bool lstm : {false, true}) {
    for (const int64_t places : {1, 5}) {
      const std::vector<float> fused = Results(kRecurrentAvx2, lstm, 37, places),
                               plain = Results(kRecurrentGeneric, lstm, 37, places);
      ASSERT_EQ(fused.size(), plain.size());
      for (size_t i = 0; i < fused.size(); ++i) ASSERT_NEAR(fused[i], plain[i], 1e-5f) << i;
    }
  }
}
#endif

}  // namespace
}  // namespace lockstep::onednn
