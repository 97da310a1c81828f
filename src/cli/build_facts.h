// What this binary was made from (cmake/build_facts.cmake).
#pragma once

namespace hearth::cli {

extern const char* const kCommit;     // the hash; "..., with changes" if files differed from it; "unknown"
extern const char* const kLibraries;  // "Boost 1.81.0, CLI11 2.3.2, ..."

}  // namespace hearth::cli
