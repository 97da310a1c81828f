// The page of `hearth --version`.
#pragma once

#include <string>

namespace hearth::cli {

// `verbose`: also the commit, every target of the GPU kernels and who compiled it, and the libraries.
std::string version_text(bool verbose);

}  // namespace hearth::cli
