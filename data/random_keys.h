// Layer keys of the random streams that data draws from. Layers of a model count up from 0; these are out of their way.
#pragma once

#include <cstdint>

namespace lockstep::data {

inline constexpr uint32_t kAugmentKey = 0xDA7A0001u;  ///< element 0: rows, 1: columns, 2: mirror
inline constexpr uint32_t kSyntheticValuesKey = 0xDA7A0002u;
inline constexpr uint32_t kSyntheticLabelsKey = 0xDA7A0003u;
inline constexpr uint32_t kCutKey = 0xDA7A0004u;     ///< element 0: where an epoch begins to cut a text
inline constexpr uint32_t kStringKey = 0xDA7A0005u;  ///< sample: speaker; element i: recordings of its string i
inline constexpr uint32_t kSpeedKey = 0xDA7A0006u;   ///< element i: speed of the sample's recording i
inline constexpr uint32_t kMaskKey = 0xDA7A0007u;   ///< elements 2i and 2i + 1: width and begin of mask i, bands' first
inline constexpr uint32_t kNoiseKey = 0xDA7A0008u;  ///< elements 2i and 2i + 1: noise of the sample's audio at i
inline constexpr uint32_t kSplitKey = 0xDA7A0009u;  ///< sample: one, or a group's hash; elements 0 and 1: its place
inline constexpr uint32_t kMixKey = 0xDA7A000Au;    ///< elements 0 to 2: kind, row, column; 4 and on: share

// Of pictures.
inline constexpr uint32_t kCropKey = 0xDA7A0010u;   ///< elements 4i to 4i + 3: area, ratio, row and column of attempt i
inline constexpr uint32_t kColorKey = 0xDA7A0011u;  ///< elements 0 to 3: the order; 4 to 7: factors
inline constexpr uint32_t kRandAugmentKey = 0xDA7A0012u;  ///< elements 2i and 2i + 1: operation i, and its sign
/// Of pictures with boxes. Elements 0 and 1: mirrors; 2: zoom; 3 and 4: move; 5 to 7: gains; 8 and 9: where four meet
inline constexpr uint32_t kPlaceKey = 0xDA7A0013u;
inline constexpr uint32_t kMosaicKey = 0xDA7A0014u;  ///< element 0: whether; 1 to 3: the other pictures

}  // namespace lockstep::data
