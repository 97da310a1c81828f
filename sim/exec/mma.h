// Matrix fragments of a warp: mma.sync and the distribution of ldmatrix.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "sim/ptx/ir.h"

namespace hearth::sim::exec {

// d = a * b + c. Each argument is an array of pointers to the 32-lane registers of a fragment, in operand order
// (fragment layouts: PTX ISA, "Matrix Fragments for mma"). All lanes take part. d may be the same registers as c.
using MmaFunction = void (*)(const ptx::MmaShape& shape, void* const* d, const void* const* a, const void* const* b,
                             const void* const* c);
MmaFunction mma_function(const ptx::MmaShape& shape);  // nullptr: parse() has refused such a shape
// How many 32-bit registers hold the fragments of d, a, b and c.
std::array<std::uint8_t, 4> mma_registers(const ptx::MmaShape& shape);

// One 8x8 matrix of 16-bit elements: rows[i] is the 16 bytes of row i; d is the destination register (32 lanes).
void distribute_matrix(const std::byte (&rows)[8][16], bool transpose, std::uint32_t* d);
// The reverse (stmatrix).
void collect_matrix(const std::uint32_t* source, bool transpose, std::byte (&rows)[8][16]);

}  // namespace hearth::sim::exec
