// How a report looks: on screens in light and dark, wide and narrow, and on paper.
#pragma once

namespace lockstep::launch {

/// CSS of the whole page, charts too.
extern const char kPageStyle[];

}  // namespace lockstep::launch
