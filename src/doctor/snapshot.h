// Reads files into a bundle.
#pragma once

#include <string>
#include <vector>

#include "doctor/bundle.h"

namespace hearth::doctor {

class Snapshot {
 public:
  Snapshot(std::string root, boost::json::object& files) : root_(std::move(root)), files_(files) {}

  // Up to `most` bytes of a file; the error's name where it cannot be read; nothing where there is none. False:
  // nothing.
  bool read(const std::string& path, size_t most = 64 << 10);
  // The same without adding it; empty if it cannot be read.
  std::string text(const std::string& path, size_t most = 64 << 10) const;
  void link(const std::string& path);    // what it points to
  void device(const std::string& path);  // mode, owner and whether it can be opened
  void size(const std::string& path, bool elf = false);
  bool exists(const std::string& path) const;
  std::vector<std::string> names(const std::string& folder) const;  // sorted
  // Of the control group (version 2) of a process, "self" or a pid; empty if it has none.
  std::string group_folder(const std::string& process) const;
  const std::string& root() const { return root_; }
  boost::json::object& files() { return files_; }

 private:
  std::string root_;
  boost::json::object& files_;
};

std::string errno_name(int code);  // "EACCES"

}  // namespace hearth::doctor
