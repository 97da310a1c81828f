// Fault scripts: what goes wrong on the simulated machine, and when. One line of text:
//   FAULT [key=value...] [; FAULT ...]
//     oom [at=N|N+]                           the N-th (and every later) allocation of device memory fails; default 1+
//     fail call=FUNCTION error=CODE [at=N|N+] that call returns CODE without doing anything; default: every call
//     sticky [error=CODE] WHEN [device=D]     the context of that device breaks as by a bad kernel (CODE: 700)
//     lost [error=CODE] WHEN [device=D] [until-...]   the device falls off the bus (CODE: 999)
//     take mib=N [device=D] [name=TEXT] [WHEN] [until-...]   another process takes memory, and gives it back
//     slow-copy mib-per-s=N                   copies take that long at least
//     slow-compile seconds=S [at=N|N+]        the N-th compilation of PTX takes that long at least; default 1+
//     no-reset                                only the end of the process cures a sticky error
//     stub                                    the library is the toolkit's link-time stub: every call returns 34
//     missing call=FUNCTION                   the library does not export FUNCTION (the exported, versioned name)
//   WHEN: second=S | launch=N | call=FUNCTION[#N] | file=PATH (as soon as it exists). until-second=S and so on.
// Or the same as a JSON array: [{"fault": "lost", "launch": 20}, ...].
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "sim/machine/profile.h"

namespace hearth::sim {

// Which calls of a function (counted from 1) a fault meets.
struct CallRange {
  std::int64_t first = 1;
  bool onwards = true;
  bool contains(std::int64_t n) const { return onwards ? n >= first : n == first; }
};

struct FailFault {
  std::string function;  // the name in our code or the exported one
  int code = 0;
  CallRange range;
};
struct StickyFault {
  int code = 700;
  int device = 0;
  Moment when;
};
struct LostFault {
  int code = 999;
  int device = 0;
  Moment when;
  Moment until;
};

struct Faults {
  std::vector<CallRange> out_of_memory;
  std::vector<FailFault> fail;
  std::vector<StickyFault> sticky;
  std::vector<LostFault> lost;
  std::vector<OtherProcess> take;
  std::vector<std::string> missing;
  double copy_mib_per_s = 0;  // 0: as fast as it goes
  double compile_seconds = 0;
  CallRange slow_compilations;
  bool no_reset = false;
  bool stub = false;
};

Result<Faults> parse_faults(std::string_view text);

}  // namespace hearth::sim
