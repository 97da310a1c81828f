#include "sim/exec/fault.h"

#include <fmt/format.h>

namespace hearth::sim::exec {

const char* name_of(FaultKind kind) {
  switch (kind) {
    case FaultKind::kInvalidLaunch:
      return "invalid launch";
    case FaultKind::kIllegalAddress:
      return "illegal address";
    case FaultKind::kMisaligned:
      return "misaligned address";
    case FaultKind::kUninitialisedRead:
      return "uninitialised read";
    case FaultKind::kRace:
      return "race on shared memory";
    case FaultKind::kTrap:
      return "trap";
    case FaultKind::kInvalidInstruction:
      return "invalid instruction";
    case FaultKind::kDeadlock:
      return "deadlock";
    case FaultKind::kEndlessLoop:
      return "endless loop";
  }
  return "?";
}

std::string Fault::message() const {
  std::string text = fmt::format("{}: {}", name_of(kind), detail);
  if (kernel.empty()) return text;
  text += fmt::format(", in kernel {}", kernel);
  if (line > 0) {
    text += fmt::format(", line {} of its PTX, block ({},{},{}), thread ({},{},{})", line, block[0], block[1], block[2],
                        thread[0], thread[1], thread[2]);
  }
  return text;
}

}  // namespace hearth::sim::exec
