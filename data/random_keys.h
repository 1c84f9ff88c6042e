// Layer keys of the random streams that data draws from. Layers of a model count up from 0; these are out of their way.
#pragma once

#include <cstdint>

namespace lockstep::data {

inline constexpr uint32_t kAugmentKey = 0xDA7A0001u;  ///< element 0: rows, 1: columns, 2: mirror
inline constexpr uint32_t kSyntheticValuesKey = 0xDA7A0002u;
inline constexpr uint32_t kSyntheticLabelsKey = 0xDA7A0003u;
inline constexpr uint32_t kCutKey = 0xDA7A0004u;  ///< element 0: where an epoch begins to cut a text

}  // namespace lockstep::data
