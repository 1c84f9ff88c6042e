#include "trainer/profile/event_log.h"

#include <array>

namespace lockstep::profile {
namespace {

/// In the order of What. Stable: profiles that are kept name events so.
constexpr std::array<std::string_view, kWhats> kNames = {"lane",
                                                         "waiting for samples",
                                                         "copying samples",
                                                         "forward",
                                                         "backward",
                                                         "op",
                                                         "fold",
                                                         "step",
                                                         "packing weights",
                                                         "exchange of gradients",
                                                         "sum and update",
                                                         "waiting for own lanes",
                                                         "global norm",
                                                         "exchange of weights",
                                                         "control record",
                                                         "evaluation",
                                                         "checkpoint",
                                                         "comparing weights"};

}  // namespace

std::string_view Name(What what) { return kNames[static_cast<size_t>(what)]; }

std::optional<What> WhatOf(std::string_view name) {
  for (size_t i = 0; i < kNames.size(); ++i)
    if (kNames[i] == name) return static_cast<What>(i);
  return std::nullopt;
}

}  // namespace lockstep::profile
