// Gives a file a second place: by a hard link or shared extents where the file system can, else as a copy.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace hearth::store {

enum class Share {
  kLinked,  // one file with two names
  kCloned,  // two files that share their bytes on the disk until one is written to
  kCopied,
};
const char* share_name(Share share);  // "linked"

struct ShareOptions {
  // A link is only for files that nobody writes to in place; what programs download is replaced, never written to.
  bool may_link = true;
  bool may_copy = true;   // else kUnsupported where neither of the others goes
  std::string what = {};  // who asks, for the guard of the disk
};
// `to` appears whole or not at all; its folder is made. Errors: kNotFound, kIo, kNoSpace, kUnsupported.
Result<Share> share_file(const std::string& from, const std::string& to, const ShareOptions& options);

}  // namespace hearth::store
