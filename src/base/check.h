// CHECK: aborts with file, line and reason when one of our own invariants is broken. Never used for
// input from files, users, peers or devices: those fail through Result (see result.h).
#pragma once

namespace hearth {

[[noreturn]] void check_failed(const char* file, int line, const char* condition);

}  // namespace hearth

#define CHECK(condition) \
  (__builtin_expect(!(condition), 0) ? ::hearth::check_failed(__FILE__, __LINE__, #condition) : (void)0)
