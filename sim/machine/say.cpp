#include "sim/machine/say.h"

#include <cstdio>
#include <cstdlib>

namespace hearth::sim {

void say(const std::string& text) {
  const char* path = std::getenv("HEARTH_SIM_LOG");
  std::FILE* file = path != nullptr && *path != '\0' ? std::fopen(path, "a") : nullptr;
  std::fprintf(file != nullptr ? file : stderr, "hearth-sim: %s\n", text.c_str());
  if (file != nullptr) std::fclose(file);
}

}  // namespace hearth::sim
