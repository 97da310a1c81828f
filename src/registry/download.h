// Fetches one file over several connections. Its hash is made of what has arrived without a gap while the rest still
// comes.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>

#include "base/result.h"
#include "registry/client.h"
#include "registry/partial.h"

namespace hearth::registry {

struct DownloadOptions {
  int connections = 8;
  std::chrono::milliseconds pause{250};              // after a first failure; twice as long after each further one
  int tries = 8;                                     // without a byte in between
  std::function<bool()> goes_on = {};                // false: the download ends (kCancelled); what is there stays
  std::function<void(uint64_t done)> progress = {};  // ten times a second or so, on the caller's thread
};

// Until all of `file` is there. Returns the SHA-256 of it, 64 digits. Errors: kNotFound, kRefused, kTimeout, kIo,
// kNoSpace, kCancelled; kInvalidData: what is offered has another size, or is a web page.
Result<std::string> download(Client& client, const std::string& path, PartialFile& file,
                             const DownloadOptions& options);

}  // namespace hearth::registry
