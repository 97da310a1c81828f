#include "base/log.h"

#include <spdlog/sinks/stdout_color_sinks.h>

namespace hearth {

void init_log(spdlog::level::level_enum level) {
  auto logger = spdlog::stderr_color_mt("hearth");
  logger->set_pattern("%Y-%m-%dT%H:%M:%S.%e %^%l%$ %v");
  logger->set_level(level);
  spdlog::set_default_logger(std::move(logger));
}

}  // namespace hearth
