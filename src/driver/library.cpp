#include "driver/library.h"

#include <dlfcn.h>
#include <link.h>

#include <filesystem>

namespace hearth::driver {

Library& Library::operator=(Library&& other) noexcept {
  std::swap(handle_, other.handle_);
  return *this;
}

Library::~Library() {
  if (handle_ != nullptr) ::dlclose(handle_);
}

bool Library::open(const std::string& path, std::string& problem) {
  // Lazy, so that a function that nobody calls cannot keep the library from loading; local, so that nothing else
  // in the process picks up its symbols.
  handle_ = ::dlopen(path.c_str(), RTLD_LAZY | RTLD_LOCAL);
  if (handle_ != nullptr) return true;
  const char* text = ::dlerror();
  problem = text != nullptr ? text : "unknown error of the dynamic loader";
  return false;
}

void* Library::find(const char* symbol) const {
  return ::dlsym(handle_, symbol);
}

std::string Library::file() const {
  link_map* map = nullptr;
  if (::dlinfo(handle_, RTLD_DI_LINKMAP, &map) != 0 || map == nullptr || map->l_name == nullptr) return {};
  std::error_code failed;
  const auto real = std::filesystem::canonical(map->l_name, failed);
  return failed ? std::string(map->l_name) : real.string();
}

}  // namespace hearth::driver
