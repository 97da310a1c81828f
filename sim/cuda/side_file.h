// PTX that stands in for a cubin: among the files *.ptx of the folder HEARTH_SIM_PTX (a build's folder of kernels, say)
// the one that defines exactly the kernels whose machine code the cubin holds; of several the one for the newest
// architecture that is not newer than the cubin's.
#pragma once

#include <optional>
#include <string>

namespace hearth::sim::cuda {

// The names of the kernels, sorted and separated by blanks.
std::string kernels_of_elf(const std::string& elf);
std::string kernels_of_ptx(const std::string& text);

std::optional<std::string> find_side_file(const std::string& elf, int architecture);

}  // namespace hearth::sim::cuda
