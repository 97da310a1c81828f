// Fragments are gathered into plain matrices, multiplied, and scattered again. All shapes here share one layout: lane
// l holds, of a and c, rows l / 4 (and 8 more), of b, column l / 4; within these, elements from (l % 4) on.
#include "sim/exec/mma.h"

#include <bit>
#include <cstring>

#include "base/half.h"

namespace hearth::sim::exec {

void multiply_matrices(const float* a, const float* b, float* d, int m, int n, int k);

namespace {

using ptx::MmaShape;
using ptx::Type;
using u16 = std::uint16_t;
using u32 = std::uint32_t;

constexpr int kColumns = 8;

int bits_of(Type type) {
  switch (type) {
    case Type::kF16:
    case Type::kBf16:
      return 16;
    case Type::kTf32:
    case Type::kF32:
    case Type::kS32:
      return 32;
    default:
      return 8;
  }
}

u32 lane_value(const void* const* fragment, std::size_t index, int lane) {
  return static_cast<const u32*>(fragment[index])[lane];
}

float tf32_to_float(u32 bits) {
  return std::bit_cast<float>(bits & ~0x1fffu);
}

// The 8-bit formats: values as float, which holds them exactly.
float e4m3_to_float(u32 bits) {
  const u32 exponent = bits >> 3 & 15;
  const float fraction = static_cast<float>(bits & 7);
  if ((bits & 0x7f) == 0x7f) return std::bit_cast<float>(0x7fffffffu);
  float value =
      exponent == 0 ? fraction * 0x1p-9f : (8.0f + fraction) * std::bit_cast<float>((exponent - 10 + 127) << 23);
  return (bits & 0x80) ? -value : value;
}
float e5m2_to_float(u32 bits) {
  return half_to_float(static_cast<u16>((bits & 0xff) << 8));
}

float element_to_float(Type type, u32 bits) {
  switch (type) {
    case Type::kF16:
      return half_to_float(static_cast<u16>(bits));
    case Type::kBf16:
      return bfloat_to_float(static_cast<u16>(bits));
    case Type::kTf32:
      return tf32_to_float(bits);
    case Type::kE4m3:
      return e4m3_to_float(bits);
    default:
      return e5m2_to_float(bits);
  }
}

std::int32_t element_to_integer(Type type, u32 bits) {
  return type == Type::kS8 ? static_cast<std::int8_t>(bits) : static_cast<std::int32_t>(bits & 0xff);
}

// Calls put(row, k, bits) for every element of a fragment of a. Registers alternate between the two halves of rows
// (if there are 16) and then go on in k; a register holds `per` neighbours in k.
template <class Put>
void gather_a(const MmaShape& shape, const void* const* fragment, Put put) {
  const int width = bits_of(shape.a);
  const int per = 32 / width;
  const int halves = shape.m / 8;
  const int steps = shape.k / (4 * per);
  const u32 mask = width == 32 ? ~0u : (1u << width) - 1;
  for (int step = 0; step < steps; ++step) {
    for (int half = 0; half < halves; ++half) {
      for (int lane = 0; lane < ptx::kWarpSize; ++lane) {
        const u32 value = lane_value(fragment, static_cast<std::size_t>(step * halves + half), lane);
        for (int e = 0; e < per; ++e) {
          put(lane / 4 + 8 * half, step * 4 * per + (lane % 4) * per + e, value >> (width * e) & mask);
        }
      }
    }
  }
}

template <class Put>
void gather_b(const MmaShape& shape, const void* const* fragment, Put put) {
  const int width = bits_of(shape.b);
  const int per = 32 / width;
  const int steps = shape.k / (4 * per);
  const u32 mask = width == 32 ? ~0u : (1u << width) - 1;
  for (int step = 0; step < steps; ++step) {
    for (int lane = 0; lane < ptx::kWarpSize; ++lane) {
      const u32 value = lane_value(fragment, static_cast<std::size_t>(step), lane);
      for (int e = 0; e < per; ++e) {
        put(step * 4 * per + (lane % 4) * per + e, lane / 4, value >> (width * e) & mask);
      }
    }
  }
}

// c and d: 32-bit elements lie in a register each, two 16-bit ones share one.
template <class Visit>
void for_accumulators(const MmaShape& shape, Visit visit) {
  for (int half = 0; half < shape.m / 8; ++half) {
    for (int lane = 0; lane < ptx::kWarpSize; ++lane) {
      for (int e = 0; e < 2; ++e) visit(half, e, lane, lane / 4 + 8 * half, (lane % 4) * 2 + e);
    }
  }
}

u16 canonical_half(u16 bits) {
  return (bits & 0x7fff) > 0x7c00 ? 0x7fff : bits;
}

void multiply_floats(const MmaShape& shape, void* const* d, const void* const* a, const void* const* b,
                     const void* const* c) {
  alignas(64) float left[16 * 32];
  alignas(64) float right[32 * kColumns];
  alignas(64) float sum[16 * kColumns];
  gather_a(shape, a, [&](int row, int k, u32 bits) { left[row * shape.k + k] = element_to_float(shape.a, bits); });
  gather_b(shape, b,
           [&](int k, int column, u32 bits) { right[k * kColumns + column] = element_to_float(shape.b, bits); });
  for_accumulators(shape, [&](int half, int e, int lane, int row, int column) {
    float& value = sum[row * kColumns + column];
    if (shape.c == Type::kF16) {
      value = half_to_float(static_cast<u16>(lane_value(c, static_cast<std::size_t>(half), lane) >> (16 * e)));
    } else {
      value = std::bit_cast<float>(lane_value(c, static_cast<std::size_t>(2 * half + e), lane));
    }
  });
  multiply_matrices(left, right, sum, shape.m, kColumns, shape.k);
  for_accumulators(shape, [&](int half, int e, int lane, int row, int column) {
    const float value = sum[row * kColumns + column];
    if (shape.d == Type::kF16) {
      u32& pair = static_cast<u32*>(d[half])[lane];
      const u32 bits = canonical_half(float_to_half(value));
      pair = e == 0 ? (pair & 0xffff0000u) | bits : (pair & 0xffffu) | bits << 16;
    } else {
      static_cast<u32*>(d[2 * half + e])[lane] = value == value ? std::bit_cast<u32>(value) : 0x7fffffffu;
    }
  });
}

void multiply_integers(const MmaShape& shape, void* const* d, const void* const* a, const void* const* b,
                       const void* const* c) {
  std::int32_t left[16 * 32];
  std::int32_t right[32 * kColumns];
  std::int64_t sum[16 * kColumns];
  gather_a(shape, a, [&](int row, int k, u32 bits) { left[row * shape.k + k] = element_to_integer(shape.a, bits); });
  gather_b(shape, b,
           [&](int k, int column, u32 bits) { right[k * kColumns + column] = element_to_integer(shape.b, bits); });
  for_accumulators(shape, [&](int half, int e, int lane, int row, int column) {
    sum[row * kColumns + column] =
        static_cast<std::int32_t>(lane_value(c, static_cast<std::size_t>(2 * half + e), lane));
  });
  for (int row = 0; row < shape.m; ++row) {
    std::int32_t products[kColumns] = {};
    for (int k = 0; k < shape.k; ++k) {
      for (int column = 0; column < kColumns; ++column) {
        products[column] += left[row * shape.k + k] * right[k * kColumns + column];
      }
    }
    for (int column = 0; column < kColumns; ++column) sum[row * kColumns + column] += products[column];
  }
  for_accumulators(shape, [&](int half, int e, int lane, int row, int column) {
    std::int64_t value = sum[row * kColumns + column];
    if (shape.saturate) value = value > INT32_MAX ? INT32_MAX : value < INT32_MIN ? INT32_MIN : value;
    static_cast<u32*>(d[2 * half + e])[lane] = static_cast<u32>(value);
  });
}

bool is_byte(Type type) {
  return type == Type::kS8 || type == Type::kU8;
}
bool is_float8(Type type) {
  return type == Type::kE4m3 || type == Type::kE5m2;
}

}  // namespace

MmaFunction mma_function(const MmaShape& shape) {
  const auto is = [&](int m, int k) { return shape.m == m && shape.n == 8 && shape.k == k; };
  if (is_byte(shape.a) && is_byte(shape.b) && shape.c == Type::kS32 && shape.d == Type::kS32) {
    return is(8, 16) || is(16, 16) || is(16, 32) ? multiply_integers : nullptr;
  }
  if (shape.saturate) return nullptr;
  const bool to_f32 = shape.c == Type::kF32 && shape.d == Type::kF32;
  const bool to_f16 = shape.c == Type::kF16 && shape.d == Type::kF16;
  if (is_float8(shape.a) && is_float8(shape.b)) return to_f32 && is(16, 32) ? multiply_floats : nullptr;
  if (shape.a != shape.b) return nullptr;
  switch (shape.a) {
    case Type::kF16:
      return (to_f32 || to_f16) && (is(16, 8) || is(16, 16)) ? multiply_floats : nullptr;
    case Type::kBf16:
      return to_f32 && (is(16, 8) || is(16, 16)) ? multiply_floats : nullptr;
    case Type::kTf32:
      return to_f32 && (is(16, 4) || is(16, 8)) ? multiply_floats : nullptr;
    default:
      return nullptr;
  }
}

std::array<std::uint8_t, 4> mma_registers(const MmaShape& shape) {
  const auto registers = [](int elements, Type type) {
    return static_cast<std::uint8_t>(elements * bits_of(type) / (32 * ptx::kWarpSize));
  };
  return {registers(shape.m * shape.n, shape.d), registers(shape.m * shape.k, shape.a),
          registers(shape.n * shape.k, shape.b), registers(shape.m * shape.n, shape.c)};
}

void distribute_matrix(const std::byte (&rows)[8][16], bool transpose, u32* d) {
  u16 elements[8][8];
  std::memcpy(elements, rows, sizeof(elements));
  for (int lane = 0; lane < ptx::kWarpSize; ++lane) {
    const int row = lane / 4;
    const int column = (lane % 4) * 2;
    const u16 low = transpose ? elements[column][row] : elements[row][column];
    const u16 high = transpose ? elements[column + 1][row] : elements[row][column + 1];
    d[lane] = low | u32{high} << 16;
  }
}

void collect_matrix(const u32* source, bool transpose, std::byte (&rows)[8][16]) {
  u16 elements[8][8];
  for (int lane = 0; lane < ptx::kWarpSize; ++lane) {
    const int row = lane / 4;
    const int column = (lane % 4) * 2;
    const auto low = static_cast<u16>(source[lane]);
    const auto high = static_cast<u16>(source[lane] >> 16);
    (transpose ? elements[column][row] : elements[row][column]) = low;
    (transpose ? elements[column + 1][row] : elements[row][column + 1]) = high;
  }
  std::memcpy(rows, elements, sizeof(elements));
}

}  // namespace hearth::sim::exec
