// AVX-512 (F, BW, DQ, VL, VNNI) as a set of vector types and operations; what each set must provide:
// simd/generic.h.
#pragma once

#include <immintrin.h>

#include <cstdint>
#include <cstring>

namespace hearth::cpu {

struct Avx512 {
  static constexpr const char* kName = "avx512";
  static constexpr int kLanes = 16;  // 32-bit lanes
  static constexpr int kTileTokens =
      6;  // activation rows of a register tile of the 8-bit matmul (2 vectors of weight rows)
  static constexpr bool kInterleaves = true;  // quantised weights that are copied (cpu/interleave.h)
  // Up to twice as many activation rows, unpacked interleaved weights are not stored in between.
  static constexpr uint32_t kDirectTokens = 4;
  static constexpr int kFloatRows = 4, kFloatTokens = 6;          // register tile of the float matmul
  static constexpr uint32_t kPackedRows = 8, kPackedVectors = 3;  // and with many activation rows, vectors of them
  static constexpr int kAttentionRows = 8;                        // query rows of a block
  static constexpr int kValueRows = 4, kValueVectors = 4;         // register tile of the weighted sum of values
  static constexpr bool kShortSums = false;
  static constexpr bool kBiased = true;  // signed weights are stored as value + 128 (vpdpbusd wants them unsigned)

  using F = __m512;
  using I = __m512i;

  // Floats.
  static F zero() { return _mm512_setzero_ps(); }
  static F set(float x) { return _mm512_set1_ps(x); }
  static F load(const float* p) { return _mm512_loadu_ps(p); }
  static void store(float* p, F x) { _mm512_storeu_ps(p, x); }
  static __mmask16 first(int n) { return static_cast<__mmask16>((1u << n) - 1); }
  static F load_n(const float* p, int n) { return _mm512_maskz_loadu_ps(first(n), p); }
  static void store_n(float* p, F x, int n) { _mm512_mask_storeu_ps(p, first(n), x); }
  static F add(F a, F b) { return _mm512_add_ps(a, b); }
  static F sub(F a, F b) { return _mm512_sub_ps(a, b); }
  static F mul(F a, F b) { return _mm512_mul_ps(a, b); }
  static F div(F a, F b) { return _mm512_div_ps(a, b); }
  // Of NaN and a number these two give b.
  static F max(F a, F b) { return _mm512_max_ps(a, b); }
  static F min(F a, F b) { return _mm512_min_ps(a, b); }
  static F abs(F a) { return _mm512_abs_ps(a); }
  static F fma(F a, F b, F c) { return _mm512_fmadd_ps(a, b, c); }    // a b + c
  static F fnma(F a, F b, F c) { return _mm512_fnmadd_ps(a, b, c); }  // c - a b
  static F round(F a) { return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
  // 2^n for integral n in [-127, 128].
  static F exp2_int(F n) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_add_epi32(_mm512_cvtps_epi32(n), _mm512_set1_epi32(127)), 23));
  }
  static float sum(F x) { return _mm512_reduce_add_ps(x); }
  // The sums of four vectors, together: a third of the instructions.
  static __m128 sum4(F a, F b, F c, F d) {
    const F ab = halves(a, b), cd = halves(c, d);
    const F all = _mm512_add_ps(_mm512_shuffle_f32x4(ab, cd, 0x88), _mm512_shuffle_f32x4(ab, cd, 0xdd));
    const F two = _mm512_add_ps(all, _mm512_permute_ps(all, 0x4e));
    const F one = _mm512_add_ps(two, _mm512_permute_ps(two, 0xb1));
    return _mm512_castps512_ps128(_mm512_maskz_compress_ps(0x1111, one));
  }
  static float highest(F x) { return _mm512_reduce_max_ps(x); }
  // Lane i of x where i < n, else `other`.
  static F keep_first(F x, int n, F other) {
    return _mm512_mask_mov_ps(other, n >= 16 ? 0xffff : first(n < 0 ? 0 : n), x);
  }

  // Lane by lane: a < b ? x : y.
  static F if_less(F a, F b, F x, F y) { return _mm512_mask_mov_ps(y, _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ), x); }
  static F round_to_half(F x) {
    return _mm512_cvtph_ps(_mm512_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
  }

  // Half floats and bfloats.
  static F load_half(const uint16_t* p) {
    return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
  }
  static F load_half_n(const uint16_t* p, int n) { return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(first(n), p)); }
  static void store_half(uint16_t* p, F x) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p),
                        _mm512_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
  }
  static F load_bfloat(const uint16_t* p) {
    return widen_bfloat(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
  }
  static F load_bfloat_n(const uint16_t* p, int n) { return widen_bfloat(_mm256_maskz_loadu_epi16(first(n), p)); }
  static F load_i8(const int8_t* p) {
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))));
  }

  // Integers, as 32-bit lanes or bytes.
  static I load_int(const void* p) { return _mm512_loadu_si512(p); }
  static I load_bytes(const uint8_t* p) {  // one per lane
    return _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  }
  static void store_int(void* p, I x) { _mm512_storeu_si512(p, x); }
  static I set_int(uint32_t x) { return _mm512_set1_epi32(static_cast<int>(x)); }
  static I zero_int() { return _mm512_setzero_si512(); }
  static I and_(I a, I b) { return _mm512_and_si512(a, b); }
  static I or_(I a, I b) { return _mm512_or_si512(a, b); }
  template <int N>
  static I shr(I a) {
    return _mm512_srli_epi32(a, N);
  }
  template <int N>
  static I shl(I a) {
    return _mm512_slli_epi32(a, N);
  }
  template <int N>
  static I shr_signed(I a) {
    return _mm512_srai_epi32(a, N);
  }
  static I mul_int(I a, I b) { return _mm512_mullo_epi32(a, b); }
  static I max_int(I a, I b) { return _mm512_max_epi32(a, b); }
  static int32_t highest_int(I x) { return _mm512_reduce_max_epi32(x); }
  static F to_float(I a) { return _mm512_cvtepi32_ps(a); }
  static F as_float(I a) { return _mm512_castsi512_ps(a); }
  static I as_int(F a) { return _mm512_castps_si512(a); }
  // Byte-wise table look-up: table has 16 entries, indices 0..15.
  static I lookup(const int8_t* table, I indices) {
    return _mm512_shuffle_epi8(_mm512_broadcast_i32x4(_mm_loadu_si128(reinterpret_cast<const __m128i*>(table))),
                               indices);
  }
  // The half float in the low or high half of every lane.
  static F half_low(I a) { return _mm512_cvtph_ps(_mm512_cvtepi32_epi16(a)); }
  static F half_high(I a) { return half_low(_mm512_srli_epi32(a, 16)); }
  // Byte B of every lane as a number.
  template <int B>
  static F byte(I a) {
    return _mm512_cvtepi32_ps(B == 3 ? _mm512_srli_epi32(a, 24)
                                     : _mm512_and_si512(_mm512_srli_epi32(a, 8 * B), _mm512_set1_epi32(255)));
  }
  template <int B>
  static F signed_byte(I a) {
    return _mm512_cvtepi32_ps(_mm512_srai_epi32(_mm512_slli_epi32(a, 24 - 8 * B), 24));
  }

  // Signed bytes become what dot_signed wants.
  static I from_int8(I a) { return _mm512_add_epi8(a, _mm512_set1_epi8(static_cast<char>(128))); }

  // acc + the products of 4 unsigned bytes of w with 4 signed bytes of a, lane by lane.
  static I dot_unsigned(I acc, I w, I a) { return _mm512_dpbusd_epi32(acc, w, a); }
  // The same for w from from_int8(); what the bias adds is taken off by the start value (kBiased).
  static I dot_signed(I acc, I w, I a) { return _mm512_dpbusd_epi32(acc, w, a); }
  // The same for activations in memory: one micro-operation less than with broadcast4().
  static I dot_unsigned(I acc, I w, const int8_t* a) {
    using Word [[gnu::may_alias, gnu::aligned(1)]] = int;
    asm("vpdpbusd %2%{1to16%}, %1, %0" : "+v"(acc) : "v"(w), "m"(*reinterpret_cast<const Word*>(a)));
    return acc;
  }
  static I dot_signed(I acc, I w, const int8_t* a) { return dot_unsigned(acc, w, a); }
  static I broadcast4(const int8_t* p) {
    int bits;
    std::memcpy(&bits, p, 4);
    return _mm512_set1_epi32(bits);
  }

  // Fetches the cache line of p at the time when x is computed: the compiler would move a prefetch of its own and the
  // others of a block together.
  static void fetch_with(I& x, const uint8_t* p) { asm volatile("prefetcht0 %1" : "+v"(x) : "m"(*p)); }

  // Lane r: the 32 bits at base + r * stride.
  static I gather(const uint8_t* base, size_t stride) {
    I x = _mm512_setzero_si512();
    for (int r = 0; r < 16; ++r) {
      int bits;
      std::memcpy(&bits, base + static_cast<size_t>(r) * stride, 4);
      x = _mm512_mask_set1_epi32(x, static_cast<__mmask16>(1u << r), bits);
    }
    return x;
  }
  // 16 bytes of each of 16 rows, transposed: lane r of out[j] is the j-th 32 bits at row(r).
  template <class Row>
  static void transpose16(Row row, I* out) {
    const auto piece = [&](uint32_t r) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(row(r))); };
    I x[4];
    for (uint32_t i = 0; i < 4; ++i) {
      x[i] = _mm512_castsi128_si512(piece(i));
      x[i] = _mm512_inserti32x4(x[i], piece(4 + i), 1);
      x[i] = _mm512_inserti32x4(x[i], piece(8 + i), 2);
      x[i] = _mm512_inserti32x4(x[i], piece(12 + i), 3);
    }
    const I a = _mm512_unpacklo_epi32(x[0], x[1]), b = _mm512_unpackhi_epi32(x[0], x[1]);
    const I c = _mm512_unpacklo_epi32(x[2], x[3]), d = _mm512_unpackhi_epi32(x[2], x[3]);
    out[0] = _mm512_unpacklo_epi64(a, c);
    out[1] = _mm512_unpackhi_epi64(a, c);
    out[2] = _mm512_unpacklo_epi64(b, d);
    out[3] = _mm512_unpackhi_epi64(b, d);
  }

  // Rounds to the nearest integers and stores them as bytes.
  static void store_i8(int8_t* p, F x) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(x)));
  }

 private:
  // The two quarters that are left of a when its halves are added, then those of b.
  static F halves(F a, F b) {
    return _mm512_add_ps(_mm512_shuffle_f32x4(a, b, 0x44), _mm512_shuffle_f32x4(a, b, 0xee));
  }
  static F widen_bfloat(__m256i x) { return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(x), 16)); }
};

}  // namespace hearth::cpu
