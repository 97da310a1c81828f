// The file in which programs of one machine agree on a card's memory: a byte for each MiB, and who wants some of it
// holds locks on as many. The system lets go of them with their holder, however that ends, and they are seen across
// containers that share the folder.
#pragma once

#include <cstdint>
#include <string>

#include "base/descriptor.h"
#include "base/result.h"

namespace hearth::fleet {

// HEARTH_LEASE_DIR, else /run/gpu-lease.
std::string lease_folder();

class LeaseFile {
 public:
  // The file of a card by its id ("GPU-8e3d..."), made if it is not there and `create`. Errors: kNotFound without
  // `create`, kIo where it cannot be made or opened for writing, kUsage for an id that names no file.
  static Result<LeaseFile> open(const std::string& folder, const std::string& card, bool create);

  // MiB that others hold of `total_mib`.
  uint64_t claimed_mib(uint64_t total_mib) const;
  // Holds so many MiB in one piece until this goes; once. Errors: kBusy where others hold too much, kIo.
  Status claim(uint64_t mib, uint64_t total_mib);

 private:
  LeaseFile(Descriptor file, std::string path) : file_(std::move(file)), path_(std::move(path)) {}
  Descriptor file_;
  std::string path_;
};

}  // namespace hearth::fleet
