// What a process that reads foreign bytes gives up before it does so. Linux: setrlimit(2), prctl(2), seccomp(2).
#pragma once

#include <cstdint>
#include <string>

namespace hearth::image {

struct Confinement {
  uint64_t memory_bytes = 0;  // of address space, beside what the process has by then
  uint32_t cpu_s = 0;         // of computing; then SIGXCPU ends it
};

// For the process that calls it, which has one thread, and for ever: every descriptor but 0, 1 and 2 is closed; none
// can be opened, no file written, no process begun, no core left; its privileges cannot grow; it dies with the thread
// that made it. Of system calls those for memory, for reading and writing what is open and for ending remain: opening
// is refused, any other one ends the process (SIGSYS). Returns what of this the system has not done, in words; empty:
// nothing. Memory is not bounded, nor are calls, in a build with a sanitizer, which needs them for itself.
std::string confine(const Confinement& confinement);

}  // namespace hearth::image
