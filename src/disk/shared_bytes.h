// How much a file has of its disk for itself alone.
#pragma once

#include <cstdint>
#include <string>

namespace hearth::disk {

// What becomes free when this name goes: nothing of a file that has another name, and not the extents that it shares
// with others (reflinks, snapshots) where the file system tells. 0 where there is no such file.
uint64_t freed_by_removal(const std::string& path);

}  // namespace hearth::disk
