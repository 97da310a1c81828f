// Which blobs programs of this machine have open or mapped: hearth's own servers, Ollama's runners, llama.cpp.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <utility>

namespace hearth::store {

class FilesInUse {
 public:
  // Now, as far as this user may see: of own processes, and as root of all.
  static FilesInUse look();
  bool has(const std::string& path) const;

 private:
  // By inode and name: some file systems tell of one device in stat() and of another in a process's maps.
  std::set<std::pair<uint64_t, std::string>> files_;
};

}  // namespace hearth::store
