// The file in which chats keep what was typed.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace hearth::cli {

// One entry is one line, in which "\n" stands for a line break and "\\" for a backslash. Files that libedit wrote can
// be read too (their first line, and the octal numbers of vis(3)). Several processes may use one file at the same time.
// What is no regular file (a device, a FIFO, a link to one: the usual ways to keep no history) is neither opened nor
// changed. Empty path: no file.
class HistoryFile {
 public:
  // When a file grows beyond this, its older half is dropped.
  static constexpr size_t kMost_bytes = 1 << 20;
  // Longer entries, pasted files mostly, are not kept.
  static constexpr size_t kMostOfAnEntry_bytes = 64 << 10;

  explicit HistoryFile(std::string path) : path_(std::move(path)) {}

  // The oldest first, at most `most` of the newest; empty if there is no file or it cannot be read.
  std::vector<std::string> read(size_t most) const;
  // A file that is made here is the user's alone (0600); the mode of one that exists stays. Errors: kIo.
  Status append(std::string_view entry) const;

  const std::string& path() const { return path_; }

 private:
  const std::string path_;
};

}  // namespace hearth::cli
