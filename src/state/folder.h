// The folder for what a server keeps: keys, and what later issues add.
#pragma once

#include <string>

#include "base/result.h"

namespace hearth::state {

// `setting` if it is not empty; else /var/lib/hearth if that can be written, else $XDG_STATE_HOME/hearth, else
// ~/.local/state/hearth. Errors: kUsage, if there is no such place.
Result<std::string> folder_path(const std::string& setting);

// The folder while this process may write in it: it is there, nobody else can look into it (0700), and no other process
// has it.
class Folder {
 public:
  // Errors: kIo; kBusy, with the process that has it; kUnsupported: it lies on a network file system, where locks and
  // shared memory cannot be relied on (https://sqlite.org/wal.html).
  static Result<Folder> take(const std::string& path);
  Folder(Folder&& other) noexcept;
  Folder& operator=(Folder&&) = delete;
  ~Folder();

  const std::string& path() const { return path_; }
  std::string file(const std::string& name) const { return path_ + "/" + name; }

 private:
  Folder(std::string path, int lock) : path_(std::move(path)), lock_(lock) {}
  std::string path_;
  int lock_ = -1;
};

// "NFS", "SMB", ... of a file system type of statfs(2) that is one over a network; null otherwise.
const char* network_file_system(long type);

}  // namespace hearth::state
