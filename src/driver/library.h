// A shared library opened at run time.
#pragma once

#include <string>
#include <utility>

namespace hearth::driver {

class Library {
 public:
  Library() = default;
  Library(Library&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  Library& operator=(Library&& other) noexcept;
  ~Library();

  // False with dlerror()'s text in `problem`.
  bool open(const std::string& path, std::string& problem);
  void* find(const char* symbol) const;  // null if it has none
  std::string file() const;              // the file behind it, links resolved; as given if not known
  void keep() { handle_ = nullptr; }     // never unloaded: threads may still run in it

 private:
  void* handle_ = nullptr;
};

}  // namespace hearth::driver
