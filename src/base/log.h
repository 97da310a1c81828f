// The log: spdlog on standard error. Levels: debug, info, warn, error.
#pragma once

#include <spdlog/spdlog.h>

namespace hearth {

// Routes the default logger to standard error and sets the level ("warn" for interactive commands).
void init_log(spdlog::level::level_enum level);

}  // namespace hearth
