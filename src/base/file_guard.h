// Keeps the process alive when a page of a mapped file cannot be had, which the system tells with SIGBUS.
#pragma once

#include <cstddef>

namespace hearth {

struct FileGuard;

// From now on [data, data + size), which must be whole pages of a read-only mapping, turns into zeros when reading it
// fails. A SIGBUS that is not about a guarded range goes where it went before the first call. Null: there is no room
// for another guard.
FileGuard* guard_mapping(void* data, size_t size);
bool is_broken(const FileGuard& guard);
// Before the range is unmapped, when nobody reads it any more.
void end_guard(FileGuard* guard);

}  // namespace hearth
