// Portable vectors of 4 lanes on the compiler's vector extension: the baseline of every processor, and
// the model for a new instruction set. The same contract as Avx512.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>

#include "base/half.h"

namespace hearth::cpu {

struct Generic {
  static constexpr const char* kName = "generic";
  static constexpr int kLanes = 4;
  static constexpr int kTileTokens = 2;
  static constexpr bool kInterleaves = false;  // rows stay as they are: it would not be faster
  static constexpr int kFloatRows = 2, kFloatTokens = 2;
  static constexpr uint32_t kPackedRows = 4, kPackedVectors = 2;
  static constexpr int kAttentionRows = 2;                 // query rows of a block
  static constexpr int kValueRows = 2, kValueVectors = 2;  // register tile of the weighted sum of values
  static constexpr bool kBiased = false;
  static constexpr bool kShortSums = false;

  using F = float __attribute__((vector_size(16)));
  using I = uint32_t __attribute__((vector_size(16)));
  using S = int32_t __attribute__((vector_size(16)));

  static F zero() { return F{}; }
  static F set(float x) { return F{x, x, x, x}; }
  static F load(const float* p) {
    F x;
    std::memcpy(&x, p, 16);
    return x;
  }
  static void store(float* p, F x) { std::memcpy(p, &x, 16); }
  static F load_n(const float* p, int n) {
    F x{};
    std::memcpy(&x, p, static_cast<size_t>(n) * 4);
    return x;
  }
  static void store_n(float* p, F x, int n) { std::memcpy(p, &x, static_cast<size_t>(n) * 4); }
  static F add(F a, F b) { return a + b; }
  static F sub(F a, F b) { return a - b; }
  static F mul(F a, F b) { return a * b; }
  static F div(F a, F b) { return a / b; }
  static F max(F a, F b) { return a > b ? a : b; }
  static F min(F a, F b) { return a < b ? a : b; }
  static F abs(F a) {
    return each(a, [](float x) { return std::fabs(x); });
  }
  static F fma(F a, F b, F c) { return a * b + c; }
  static F fnma(F a, F b, F c) { return c - a * b; }
  static F round(F a) {
    return each(a, [](float x) { return std::nearbyintf(x); });
  }
  static F exp2_int(F n) {
    I bits;
    for (int i = 0; i < 4; ++i) bits[i] = static_cast<uint32_t>(to_int(n[i]) + 127) << 23;
    return as_float(bits);
  }
  // Of lanes that are kLanes / 2 apart, then kLanes / 4 and so on: in every set of instructions.
  static float sum(F x) { return (x[0] + x[2]) + (x[1] + x[3]); }
  static float highest(F x) { return std::fmax(std::fmax(x[0], x[1]), std::fmax(x[2], x[3])); }
  static F keep_first(F x, int n, F other) {
    for (int i = 0; i < 4; ++i) x[i] = i < n ? x[i] : other[i];
    return x;
  }

  static F if_less(F a, F b, F x, F y) { return a < b ? x : y; }
  static F round_to_half(F x) {
    return each(x, [](float y) { return half_to_float(float_to_half(y)); });
  }

  static F load_half(const uint16_t* p) { return load_half_n(p, 4); }
  static F load_half_n(const uint16_t* p, int n) {
    F x{};
    for (int i = 0; i < n; ++i) x[i] = half_to_float(p[i]);
    return x;
  }
  static void store_half(uint16_t* p, F x) {
    for (int i = 0; i < 4; ++i) p[i] = float_to_half(x[i]);
  }
  static F load_bfloat(const uint16_t* p) { return load_bfloat_n(p, 4); }
  static F load_bfloat_n(const uint16_t* p, int n) {
    F x{};
    for (int i = 0; i < n; ++i) x[i] = bfloat_to_float(p[i]);
    return x;
  }
  static F load_i8(const int8_t* p) { return F{float(p[0]), float(p[1]), float(p[2]), float(p[3])}; }

  static I load_int(const void* p) {
    I x;
    std::memcpy(&x, p, 16);
    return x;
  }
  static I load_bytes(const uint8_t* p) { return I{p[0], p[1], p[2], p[3]}; }  // one per lane
  static void store_int(void* p, I x) { std::memcpy(p, &x, 16); }
  static I set_int(uint32_t x) { return I{x, x, x, x}; }
  static I zero_int() { return I{}; }
  static I and_(I a, I b) { return a & b; }
  static I or_(I a, I b) { return a | b; }
  template <int N>
  static I shr(I a) {
    return a >> N;
  }
  template <int N>
  static I shl(I a) {
    return a << N;
  }
  template <int N>
  static I shr_signed(I a) {
    return reinterpret_cast<I>(reinterpret_cast<S>(a) >> N);
  }
  static I mul_int(I a, I b) { return a * b; }
  static I max_int(I a, I b) { return reinterpret_cast<I>(reinterpret_cast<S>(a) > reinterpret_cast<S>(b) ? a : b); }
  static int32_t highest_int(I x) {
    const S all = reinterpret_cast<S>(x);
    return std::max(std::max(all[0], all[1]), std::max(all[2], all[3]));
  }
  static F to_float(I a) { return __builtin_convertvector(reinterpret_cast<S>(a), F); }
  static F as_float(I a) { return reinterpret_cast<F>(a); }
  static I as_int(F a) { return reinterpret_cast<I>(a); }
  static I lookup(const int8_t* table, I indices) {
    uint8_t bytes[16];
    std::memcpy(bytes, &indices, 16);
    for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(table[byte & 15]);
    return load_int(bytes);
  }
  static F half_low(I a) {
    F x{};
    for (int i = 0; i < 4; ++i) x[i] = half_to_float(static_cast<uint16_t>(a[i] & 0xffff));
    return x;
  }
  static F half_high(I a) { return half_low(a >> 16); }
  template <int B>
  static F byte(I a) {
    return to_float((a >> (8 * B)) & 255u);
  }
  template <int B>
  static F signed_byte(I a) {
    return __builtin_convertvector(reinterpret_cast<S>(a << (24 - 8 * B)) >> 24, F);
  }

  static I from_int8(I a) { return a; }

  static I dot_unsigned(I acc, I w, I a) { return dot<uint8_t>(acc, w, a); }
  static I dot_signed(I acc, I w, I a) { return dot<int8_t>(acc, w, a); }
  static I broadcast4(const int8_t* p) {
    uint32_t bits;
    std::memcpy(&bits, p, 4);
    return set_int(bits);
  }

  static void fetch_with(I&, const uint8_t* p) { __builtin_prefetch(p, 0, 3); }

  static I gather(const uint8_t* base, size_t stride) {
    uint32_t x[4];
    for (size_t r = 0; r < 4; ++r) std::memcpy(&x[r], base + r * stride, 4);
    return load_int(x);
  }
  template <class Row>
  static void transpose16(Row row, I* out) {
    uint32_t x[4][4];
    for (uint32_t r = 0; r < 4; ++r) std::memcpy(x[r], row(r), 16);
    for (int j = 0; j < 4; ++j) out[j] = I{x[0][j], x[1][j], x[2][j], x[3][j]};
  }

  static void store_i8(int8_t* p, F x) {
    for (int i = 0; i < 4; ++i) p[i] = static_cast<int8_t>(to_int(std::nearbyintf(x[i])));
  }

 private:
  static int32_t to_int(float x) { return x == x ? static_cast<int32_t>(x) : 0; }  // any number will do for NaN
  template <class Function>
  static F each(F x, Function function) {
    for (int i = 0; i < 4; ++i) x[i] = function(x[i]);
    return x;
  }
  template <class Weight>
  static I dot(I acc, I w, I a) {
    Weight weights[16];
    int8_t values[16];
    std::memcpy(weights, &w, 16);
    std::memcpy(values, &a, 16);
    for (int i = 0; i < 4; ++i) {
      int32_t total = 0;
      for (int k = 0; k < 4; ++k) total += weights[4 * i + k] * values[4 * i + k];
      acc[i] += static_cast<uint32_t>(total);
    }
    return acc;
  }
};

}  // namespace hearth::cpu
