// What works across the lanes of a warp, and the arithmetic of atomics.
#include <bit>
#include <cmath>
#include <cstring>

#include "base/half.h"
#include "sim/exec/lane_ops.h"

namespace hearth::sim::exec {
namespace {

using u32 = std::uint32_t;
using u64 = std::uint64_t;
using s32 = std::int32_t;
using s64 = std::int64_t;
using ptx::AtomicOp;
using ptx::Type;

LaneMask bit(int lane) {
  return LaneMask{1} << lane;
}

template <class T>
T minimum(T a, T b) {
  return a < b ? a : b;
}
template <class T>
T maximum(T a, T b) {
  return a < b ? b : a;
}

float add_floats(float a, float b) {
  const float sum = a + b;
  return sum == sum ? sum : std::bit_cast<float>(0x7fffffffu);
}

std::uint16_t add_halves(std::uint16_t a, std::uint16_t b) {
  const std::uint16_t sum = float_to_half(half_to_float(a) + half_to_float(b));
  return (sum & 0x7fff) > 0x7c00 ? 0x7fff : sum;
}
std::uint16_t add_bfloats(std::uint16_t a, std::uint16_t b) {
  const std::uint16_t sum = float_to_bfloat(bfloat_to_float(a) + bfloat_to_float(b));
  return (sum & 0x7fff) > 0x7f80 ? 0x7fff : sum;
}

u64 add(Type type, u64 a, u64 b) {
  const auto low = [](u64 x) { return static_cast<std::uint16_t>(x); };
  const auto high = [](u64 x) { return static_cast<std::uint16_t>(x >> 16); };
  switch (type) {
    case Type::kF32:
      return std::bit_cast<u32>(
          add_floats(std::bit_cast<float>(static_cast<u32>(a)), std::bit_cast<float>(static_cast<u32>(b))));
    case Type::kF64:
      return std::bit_cast<u64>(std::bit_cast<double>(a) + std::bit_cast<double>(b));
    case Type::kF16:
      return add_halves(low(a), low(b));
    case Type::kBf16:
      return add_bfloats(low(a), low(b));
    case Type::kF16x2:
      return add_halves(low(a), low(b)) | u32{add_halves(high(a), high(b))} << 16;
    case Type::kBf16x2:
      return add_bfloats(low(a), low(b)) | u32{add_bfloats(high(a), high(b))} << 16;
    case Type::kU64:
    case Type::kS64:
      return a + b;
    default:
      return static_cast<u32>(a + b);
  }
}

u64 extreme(Type type, bool greatest, u64 a, u64 b) {
  bool a_is_less = a < b;
  if (type == Type::kS32) a_is_less = static_cast<s32>(a) < static_cast<s32>(b);
  if (type == Type::kS64) a_is_less = static_cast<s64>(a) < static_cast<s64>(b);
  return a_is_less != greatest ? a : b;
}

}  // namespace

void shuffle(ptx::ShuffleMode mode, u32* d, LaneMask* p, const u32* a, const u32* b, const u32* c, LaneMask active,
             LaneMask* undefined) {
  u32 values[ptx::kWarpSize];
  std::memcpy(values, a, sizeof(values));
  LaneMask in_range = 0;
  LaneMask lost = 0;
  u32 results[ptx::kWarpSize] = {};
  for (int lane = 0; lane < ptx::kWarpSize; ++lane) {
    if ((active & bit(lane)) == 0) continue;
    const int offset = static_cast<int>(b[lane] & 31);
    const int clamp = static_cast<int>(c[lane] & 31);
    const int segment = static_cast<int>(c[lane] >> 8 & 31);
    const int most = (lane & segment) | (clamp & ~segment);
    const int least = lane & segment;
    int from = lane;
    bool valid = false;
    switch (mode) {
      case ptx::ShuffleMode::kUp:
        from = lane - offset;
        valid = from >= most;
        break;
      case ptx::ShuffleMode::kDown:
        from = lane + offset;
        valid = from <= most;
        break;
      case ptx::ShuffleMode::kButterfly:
        from = lane ^ offset;
        valid = from <= most;
        break;
      case ptx::ShuffleMode::kIndex:
        from = least | (offset & ~segment);
        valid = from <= most;
        break;
    }
    if (!valid) from = lane;
    if (valid) in_range |= bit(lane);
    if ((active & bit(from)) == 0) {
      lost |= bit(lane);
      from = lane;
    }
    results[lane] = values[from];
  }
  for (int lane = 0; lane < ptx::kWarpSize; ++lane) {
    if (active & bit(lane)) d[lane] = results[lane];
  }
  if (p != nullptr) *p = (*p & ~active) | in_range;
  if (undefined != nullptr) *undefined = lost;
}

LaneMask vote(ptx::VoteMode mode, LaneMask a, LaneMask members) {
  const LaneMask yes = a & members;
  switch (mode) {
    case ptx::VoteMode::kAll:
      return yes == members ? kAllLanes : 0;
    case ptx::VoteMode::kAny:
      return yes != 0 ? kAllLanes : 0;
    case ptx::VoteMode::kUniform:
      return yes == 0 || yes == members ? kAllLanes : 0;
    case ptx::VoteMode::kBallot:
      return yes;
  }
  return 0;
}

void match(ptx::MatchMode mode, int bytes, u32* d, LaneMask* p, const void* a, LaneMask members) {
  const auto value = [&](int lane) {
    return bytes == 4 ? u64{static_cast<const u32*>(a)[lane]} : static_cast<const u64*>(a)[lane];
  };
  LaneMask results[ptx::kWarpSize] = {};
  bool all = true;
  for (int lane = 0; lane < ptx::kWarpSize; ++lane) {
    if ((members & bit(lane)) == 0) continue;
    for (int other = 0; other < ptx::kWarpSize; ++other) {
      if ((members & bit(other)) && value(other) == value(lane)) results[lane] |= bit(other);
    }
    all = all && results[lane] == members;
  }
  for (int lane = 0; lane < ptx::kWarpSize; ++lane) {
    if ((members & bit(lane)) == 0) continue;
    d[lane] = mode == ptx::MatchMode::kAny ? results[lane] : all ? members : 0;
  }
  if (p != nullptr) *p = (*p & ~members) | (all ? members : 0);
}

void redux(const ptx::Instruction& instruction, u32* d, const u32* a, LaneMask members) {
  u64 result = 0;
  bool first = true;
  for (int lane = 0; lane < ptx::kWarpSize; ++lane) {
    if ((members & bit(lane)) == 0) continue;
    result = first ? a[lane] : atomic_result(instruction.atomic, instruction.type, result, a[lane], 0);
    first = false;
  }
  for (int lane = 0; lane < ptx::kWarpSize; ++lane) {
    if (members & bit(lane)) d[lane] = static_cast<u32>(result);
  }
}

u64 atomic_result(AtomicOp op, Type type, u64 old, u64 b, u64 c) {
  switch (op) {
    case AtomicOp::kAdd:
      return add(type, old, b);
    case AtomicOp::kMin:
      return extreme(type, false, old, b);
    case AtomicOp::kMax:
      return extreme(type, true, old, b);
    case AtomicOp::kAnd:
      return old & b;
    case AtomicOp::kOr:
      return old | b;
    case AtomicOp::kXor:
      return old ^ b;
    case AtomicOp::kExch:
      return b;
    case AtomicOp::kCas:
      return old == b ? c : old;
    case AtomicOp::kInc:
      return static_cast<u32>(old) >= static_cast<u32>(b) ? 0 : old + 1;
    case AtomicOp::kDec:
      return old == 0 || static_cast<u32>(old) > static_cast<u32>(b) ? b : old - 1;
  }
  return old;
}

}  // namespace hearth::sim::exec
