// PTX text to a decoded module.
#pragma once

#include <string_view>

#include "base/result.h"
#include "sim/ptx/ir.h"

namespace hearth::sim::ptx {

// Parses, checks and links a whole module. Any text is safe: what is malformed, unknown or beyond the limits of the
// simulator is an error that names the line and its text (kInvalidData; kUnsupported for what PTX has and this does
// not).
Result<Module> parse(std::string_view text);

enum class TargetFault {
  kNone,
  kNewerVersion,  // the PTX ISA version is newer than the driver: CUDA_ERROR_UNSUPPORTED_PTX_VERSION
  kNewerTarget,   // compiled for a newer (or another specific) architecture: CUDA_ERROR_NO_BINARY_FOR_GPU
};
struct TargetCheck {
  TargetFault fault = TargetFault::kNone;
  std::string message;
};

// Whether a driver that knows PTX up to `newest_version` (e.g. 80 for ISA 8.0) can load the module on a GPU of that
// compute capability (e.g. 75). Also available before parsing, from the header alone: read_header().
TargetCheck check_target(const Module& module, int compute_capability, int newest_version);

// Only .version and .target; the rest of the module is empty. A driver checks these before it reads on.
Result<Module> read_header(std::string_view text);

}  // namespace hearth::sim::ptx
