// Loops over the lanes of a warp, for the sources that are compiled once per instruction set (HEARTH_LANE_ISA names
// the namespace). Written so that compilers turn them into vector instructions. Not an interface.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <limits>

#include "sim/exec/lane_ops.h"

#if defined(__clang__)
#define HEARTH_LANES_INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#define HEARTH_LANES_ROLLED _Pragma("clang loop unroll(disable)")
#elif defined(__GNUC__)
#define HEARTH_LANES_INDEPENDENT _Pragma("GCC ivdep")
#define HEARTH_LANES_ROLLED _Pragma("GCC unroll 1")
#endif

namespace hearth::sim::exec::HEARTH_LANE_ISA {

using ptx::Instruction;
using ptx::kWarpSize;
using ptx::Op;
using ptx::Operand;
using ptx::Type;
using u8 = std::uint8_t;
using u16 = std::uint16_t;
using u32 = std::uint32_t;
using u64 = std::uint64_t;
using s8 = std::int8_t;
using s16 = std::int16_t;
using s32 = std::int32_t;
using s64 = std::int64_t;

// What each of these files offers: the function for an instruction, or nullptr.
LaneFunction find_integer(const Instruction& instruction);
LaneFunction find_bits(const Instruction& instruction);
LaneFunction find_float(const Instruction& instruction);
LaneFunction find_half(const Instruction& instruction);
LaneFunction find_select(const Instruction& instruction, const Operand* operands);
LaneFunction find_convert(const Instruction& instruction, const Operand* operands);

template <class D>
inline void store_active(void* to, const D* results, LaneMask active) {
  D* d = static_cast<D*>(to);
  HEARTH_LANES_INDEPENDENT
  for (int i = 0; i < kWarpSize; ++i) d[i] = (active >> i & 1) ? results[i] : d[i];
}

template <class D>
inline void move_active(void* to, const D* results, LaneMask active) {
  if (active == kAllLanes) {
    std::memcpy(to, results, sizeof(D) * kWarpSize);
  } else {
    store_active(to, results, active);
  }
}

// d[i] = f(sources[i]...) in the active lanes. The sources' inactive lanes are computed as well: f must not trap.
template <class D, class F, class... S>
inline void map(void* to, LaneMask active, F f, const S*... sources) {
  if (active == kAllLanes) {
    D* d = static_cast<D*>(to);
    HEARTH_LANES_INDEPENDENT
    for (int i = 0; i < kWarpSize; ++i) d[i] = static_cast<D>(f(sources[i]...));
    return;
  }
  alignas(64) D results[kWarpSize];
  HEARTH_LANES_INDEPENDENT
  for (int i = 0; i < kWarpSize; ++i) results[i] = static_cast<D>(f(sources[i]...));
  store_active(to, results, active);
}

// The same for what is slow and no vector instruction does: only the active lanes are computed.
template <class D, class F, class... S>
inline void map_each(void* to, LaneMask active, F f, const S*... sources) {
  D* d = static_cast<D*>(to);
  for (LaneMask left = active; left != 0; left &= left - 1) {
    const int i = std::countr_zero(left);
    d[i] = static_cast<D>(f(sources[i]...));
  }
}

// Bit i: f(a[i], b[i]).
template <class T, class F>
inline LaneMask compare_lanes(const T* a, const T* b, F f) {
  alignas(64) u32 bits[kWarpSize];
  HEARTH_LANES_INDEPENDENT
  for (int i = 0; i < kWarpSize; ++i) bits[i] = f(a[i], b[i]) ? 1u << i : 0u;
  LaneMask mask = 0;
  for (int i = 0; i < kWarpSize; ++i) mask |= bits[i];
  return mask;
}

inline void store_predicate(void* to, LaneMask result, LaneMask active) {
  LaneMask* d = static_cast<LaneMask*>(to);
  *d = (*d & ~active) | (result & active);
}

template <class T>
const T* as(const void* register_array) {
  return static_cast<const T*>(register_array);
}

// A lane function from a stateless functor, by the number of its sources.
template <class D, class S, class F>
void unary(void* d, const void* a, const void*, const void*, LaneMask active, void*) {
  map<D>(d, active, F{}, as<S>(a));
}
template <class D, class A, class B, class F>
void binary(void* d, const void* a, const void* b, const void*, LaneMask active, void*) {
  map<D>(d, active, F{}, as<A>(a), as<B>(b));
}
template <class D, class A, class B, class C, class F>
void ternary(void* d, const void* a, const void* b, const void* c, LaneMask active, void*) {
  map<D>(d, active, F{}, as<A>(a), as<B>(b), as<C>(c));
}
template <class D, class S, class F>
void unary_each(void* d, const void* a, const void*, const void*, LaneMask active, void*) {
  map_each<D>(d, active, F{}, as<S>(a));
}
template <class D, class A, class B, class F>
void binary_each(void* d, const void* a, const void* b, const void*, LaneMask active, void*) {
  map_each<D>(d, active, F{}, as<A>(a), as<B>(b));
}
template <class D, class A, class B, class C, class F>
void ternary_each(void* d, const void* a, const void* b, const void* c, LaneMask active, void*) {
  map_each<D>(d, active, F{}, as<A>(a), as<B>(b), as<C>(c));
}

}  // namespace hearth::sim::exec::HEARTH_LANE_ISA
