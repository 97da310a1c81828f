// Files of a machine as a bundle carries them: what was read, what could not be and why.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace hearth::doctor {

struct FileFact {
  std::optional<std::string> content;  // nothing: not read, see `error`
  std::string error;                   // "EACCES": why it could not be read; "ENOENT": it does not exist
  std::string link;                    // what a symbolic link points to
  std::string open;                    // of a device: "ok", or the error of opening it for reading and writing
  std::optional<uint64_t> size_bytes;
  std::optional<uint64_t> elf_bytes;  // where the last section of an ELF file ends: more than its size if it is cut off
  std::optional<unsigned> mode, uid, gid;

  bool exists() const { return error != "ENOENT"; }
};

class Files {
 public:
  void add(const std::string& path, FileFact file) { files_[path] = std::move(file); }

  // A file, or a folder that something is in. What a bundle does not name does not exist.
  bool exists(const std::string& path) const;
  bool folder_known(const std::string& folder) const;   // something in it is named
  const FileFact* find(const std::string& path) const;  // null if it is not named or does not exist
  // Its content without spaces and line ends around it; empty if there is none.
  std::string text(const std::string& path) const;
  std::optional<int64_t> number(const std::string& path) const;  // decimal or 0x...
  // Names of what is directly in a folder, sorted.
  std::vector<std::string> children(const std::string& folder) const;
  const std::map<std::string, FileFact>& all() const { return files_; }

 private:
  std::map<std::string, FileFact> files_;
};

// "0x1f", "31", with whatever follows a space ignored.
std::optional<int64_t> to_number(std::string_view text);
std::string_view trim(std::string_view text);
// Parts between separators, without empty ones.
std::vector<std::string> split(std::string_view text, std::string_view separators);
std::string lower(std::string_view text);  // ASCII
// As split() of NUL-separated text such as /proc/PID/environ; by `otherwise` where somebody wrote it without NUL.
std::vector<std::string> split_nul(std::string_view text, std::string_view otherwise);
// The numbers of a version: "575.64.05" -> 575, 64, 5; shorter ones sort first.
std::vector<int> version_numbers(std::string_view text);
bool older(std::string_view version, std::string_view than);
// "512 MiB", "1.5 GB", "20.0 GiB", "8g", "536870912" in bytes; nothing for other text. Units of 1024.
std::optional<double> to_bytes(std::string_view text);
// "5m", "1h30m", "-1", "300" (seconds) in seconds; negative for "never ends"; nothing for other text.
std::optional<double> to_seconds(std::string_view text);

}  // namespace hearth::doctor
