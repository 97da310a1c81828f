#include "driver/compile_cache.h"

#include <cstdlib>

namespace hearth::driver {
namespace {

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : "";
}

}  // namespace

std::string compile_cache_folder() {
  if (!variable("CUDA_CACHE_PATH").empty() || !variable("HOME").empty()) return {};
  const std::string service = variable("CACHE_DIRECTORY");  // several are separated by colons
  if (!service.empty()) return service.substr(0, service.find(':')) + "/nvidia";
  const std::string user = variable("XDG_CACHE_HOME");
  return user.empty() ? std::string() : user + "/nvidia";
}

void set_compile_cache() {
  if (const std::string folder = compile_cache_folder(); !folder.empty())
    ::setenv("CUDA_CACHE_PATH", folder.c_str(), 1);
}

}  // namespace hearth::driver
