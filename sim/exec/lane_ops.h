// Arithmetic over the 32 lanes of a warp. A register is an array of 32 elements of its width (2, 4 or 8 bytes,
// 64-byte aligned); a predicate register is one LaneMask. Results of lanes outside `active` are left as they are;
// sources of such lanes may hold anything.
#pragma once

#include <cstddef>
#include <cstdint>

#include "sim/ptx/ir.h"

namespace hearth::sim::exec {

using ptx::LaneMask;
inline constexpr LaneMask kAllLanes = ~LaneMask{0};

// d, a, b, c, e: the operands of the instruction in order (pointers to register arrays, broadcast constants or
// LaneMasks); what the instruction does not have is nullptr. `e` is the fourth source (bfi, pack) or the carry mask
// (add.cc: written, addc: read), which is the instruction's last operand. d may be the same register as a source.
using LaneFunction = void (*)(void* d, const void* a, const void* b, const void* c, LaneMask active, void* e);

// The function for a lane-arithmetic instruction (Op::kAdd ... Op::kCvtPack, but for kMov of a special register), to
// be looked up once when a kernel is prepared. nullptr: not such an instruction. parse() accepts no instruction of
// these for which there is none. `operands` are the instruction's (their widths choose the variant of mov and cvt).
LaneFunction lane_function(const ptx::Instruction& instruction, const ptx::Operand* operands);

// Across lanes; `active` are the lanes that execute together (the interpreter has checked them against the member
// mask). shfl: b lane operand, c clamp and segment mask, as PTX defines; a lane that would read an inactive lane gets
// its own value and `*undefined` gets that lane's bit. p may be nullptr.
void shuffle(ptx::ShuffleMode mode, std::uint32_t* d, LaneMask* p, const std::uint32_t* a, const std::uint32_t* b,
             const std::uint32_t* c, LaneMask active, LaneMask* undefined);
// vote: `members` is the member mask; the result is the value for every lane: a predicate (0 or ~0) or the ballot.
LaneMask vote(ptx::VoteMode mode, LaneMask a, LaneMask members);
// match: width 4 or 8 bytes; d gets the masks; p (match.all) may be nullptr.
void match(ptx::MatchMode mode, int bytes, std::uint32_t* d, LaneMask* p, const void* a, LaneMask members);
// redux: kAdd, kMin, kMax (u32, s32, f32), kAnd, kOr, kXor; every lane of members gets the result.
void redux(const ptx::Instruction& instruction, std::uint32_t* d, const std::uint32_t* a, LaneMask members);

// One lane of an atomic: the new value of memory, from the old one (bits in the low bytes) and the operands. Packed
// types (f16x2, bf16x2) are one call with the packed value.
std::uint64_t atomic_result(ptx::AtomicOp op, ptx::Type type, std::uint64_t old, std::uint64_t b, std::uint64_t c);

// The instruction set that was chosen for this machine ("generic" or "avx2"), and a way for tests to force one.
const char* lane_isa();
bool set_lane_isa(const char* name);  // false: unknown or not supported here. Before lane_function() is called.

}  // namespace hearth::sim::exec
