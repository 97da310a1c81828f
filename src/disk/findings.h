// What is wrong, or will be, with the file system that a folder lies on.
#pragma once

#include <string>
#include <vector>

#include "base/cause.h"
#include "base/result.h"

namespace hearth::disk {

struct Finding {
  Cause cause;         // "disk-low"; its words are in src/doctor/words/storage.cpp, and docs/store.md has every one
  bool grave = false;  // nothing large can be written
};
// Of the folder's file system as it is, and of what writes have shown of it within a day (a quota, a thin pool, which
// statvfs() does not tell of), those of other processes too where there is a ledger for it (guard.h).
std::vector<Finding> findings_of(const std::string& folder);

// A write failed with this errno, at fsync() if `late`. For findings_of().
void note_failure(const std::string& path, int code, bool late);

// Makes the folder, and creates, writes, renames and deletes a file in it. Errors: kIo, which names the part of the
// path that is to blame, whose it is and who runs this; kNoSpace.
Status probe(const std::string& folder);

}  // namespace hearth::disk
