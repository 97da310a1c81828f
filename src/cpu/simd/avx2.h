// AVX2 with FMA and F16C; the same contract as Avx512.
#pragma once

#include <immintrin.h>

#include <cstdint>
#include <cstring>

namespace hearth::cpu {

struct Avx2 {
  static constexpr const char* kName = "avx2";
  static constexpr int kLanes = 8;
  static constexpr int kTileTokens = 3;
  static constexpr bool kInterleaves = true;  // quantised weights that are copied (cpu/interleave.h)
  static constexpr uint32_t kDirectTokens = 2;
  static constexpr int kFloatRows = 3, kFloatTokens = 3;
  static constexpr uint32_t kPackedRows = 4, kPackedVectors = 3;
  static constexpr int kAttentionRows = 4;                 // query rows of a block
  static constexpr int kValueRows = 2, kValueVectors = 4;  // register tile of the weighted sum of values
  static constexpr bool kBiased = false;
  static constexpr bool kShortSums = true;  // no instruction adds 4 products of bytes in 32 bits

  using F = __m256;
  using I = __m256i;

  static F zero() { return _mm256_setzero_ps(); }
  static F set(float x) { return _mm256_set1_ps(x); }
  static F load(const float* p) { return _mm256_loadu_ps(p); }
  static void store(float* p, F x) { _mm256_storeu_ps(p, x); }
  static F load_n(const float* p, int n) { return _mm256_maskload_ps(p, first(n)); }
  static void store_n(float* p, F x, int n) { _mm256_maskstore_ps(p, first(n), x); }
  static F add(F a, F b) { return _mm256_add_ps(a, b); }
  static F sub(F a, F b) { return _mm256_sub_ps(a, b); }
  static F mul(F a, F b) { return _mm256_mul_ps(a, b); }
  static F div(F a, F b) { return _mm256_div_ps(a, b); }
  static F max(F a, F b) { return _mm256_max_ps(a, b); }
  static F min(F a, F b) { return _mm256_min_ps(a, b); }
  static F abs(F a) { return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a); }
  static F fma(F a, F b, F c) { return _mm256_fmadd_ps(a, b, c); }
  static F fnma(F a, F b, F c) { return _mm256_fnmadd_ps(a, b, c); }
  static F round(F a) { return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
  static F exp2_int(F n) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127)), 23));
  }
  static float sum(F x) {
    __m128 y = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    y = _mm_add_ps(y, _mm_movehl_ps(y, y));
    return _mm_cvtss_f32(_mm_add_ss(y, _mm_movehdup_ps(y)));
  }
  static float highest(F x) {
    __m128 y = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    y = _mm_max_ps(y, _mm_movehl_ps(y, y));
    return _mm_cvtss_f32(_mm_max_ss(y, _mm_movehdup_ps(y)));
  }
  static F keep_first(F x, int n, F other) { return _mm256_blendv_ps(other, x, _mm256_castsi256_ps(first(n))); }

  static F if_less(F a, F b, F x, F y) { return _mm256_blendv_ps(y, x, _mm256_cmp_ps(a, b, _CMP_LT_OQ)); }
  static F round_to_half(F x) {
    return _mm256_cvtph_ps(_mm256_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
  }

  static F load_half(const uint16_t* p) {
    return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  }
  static F load_half_n(const uint16_t* p, int n) { return _mm256_cvtph_ps(load_shorts(p, n)); }
  static void store_half(uint16_t* p, F x) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm256_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
  }
  static F load_bfloat(const uint16_t* p) { return widen_bfloat(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))); }
  static F load_bfloat_n(const uint16_t* p, int n) { return widen_bfloat(load_shorts(p, n)); }
  static F load_i8(const int8_t* p) {
    return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p))));
  }

  static I load_int(const void* p) { return _mm256_loadu_si256(static_cast<const I*>(p)); }
  static I load_bytes(const uint8_t* p) {
    return _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)));
  }
  static void store_int(void* p, I x) { _mm256_storeu_si256(static_cast<I*>(p), x); }
  static I set_int(uint32_t x) { return _mm256_set1_epi32(static_cast<int>(x)); }
  static I zero_int() { return _mm256_setzero_si256(); }
  static I and_(I a, I b) { return _mm256_and_si256(a, b); }
  static I or_(I a, I b) { return _mm256_or_si256(a, b); }
  template <int N>
  static I shr(I a) {
    return _mm256_srli_epi32(a, N);
  }
  template <int N>
  static I shl(I a) {
    return _mm256_slli_epi32(a, N);
  }
  template <int N>
  static I shr_signed(I a) {
    return _mm256_srai_epi32(a, N);
  }
  static I mul_int(I a, I b) { return _mm256_mullo_epi32(a, b); }
  static I max_int(I a, I b) { return _mm256_max_epi32(a, b); }
  static int32_t highest_int(I x) {
    __m128i y = _mm_max_epi32(_mm256_castsi256_si128(x), _mm256_extracti128_si256(x, 1));
    y = _mm_max_epi32(y, _mm_unpackhi_epi64(y, y));
    return _mm_cvtsi128_si32(_mm_max_epi32(y, _mm_shuffle_epi32(y, 1)));
  }
  static F to_float(I a) { return _mm256_cvtepi32_ps(a); }
  static F as_float(I a) { return _mm256_castsi256_ps(a); }
  static I as_int(F a) { return _mm256_castps_si256(a); }
  static I lookup(const int8_t* table, I indices) {
    return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(table))),
                               indices);
  }
  static F half_low(I a) {
    const I low = _mm256_and_si256(a, _mm256_set1_epi32(0xffff));
    return _mm256_cvtph_ps(_mm_packus_epi32(_mm256_castsi256_si128(low), _mm256_extracti128_si256(low, 1)));
  }
  static F half_high(I a) { return half_low(_mm256_srli_epi32(a, 16)); }
  template <int B>
  static F byte(I a) {
    return _mm256_cvtepi32_ps(_mm256_and_si256(_mm256_srli_epi32(a, 8 * B), _mm256_set1_epi32(255)));
  }
  template <int B>
  static F signed_byte(I a) {
    return _mm256_cvtepi32_ps(_mm256_srai_epi32(_mm256_slli_epi32(a, 24 - 8 * B), 24));
  }

  static I from_int8(I a) { return a; }

  // Two sums of two products of bytes in 16 bits per lane: unsigned w by signed a, or both signed (|w| times a
  // with w's sign: 2 * 128 * 127 still fits).
  static I short_products(I w, I a) { return _mm256_maddubs_epi16(w, a); }
  static I short_products_signed(I w, I a) { return short_products(_mm256_abs_epi8(w), _mm256_sign_epi8(a, w)); }
  static I short_products(I w, const int8_t* a) { return short_products(w, broadcast4(a)); }
  static I short_products_signed(I w, const int8_t* a) { return short_products_signed(w, broadcast4(a)); }
  static I add_shorts(I a, I b) { return _mm256_add_epi16(a, b); }
  static I add_pairs(I acc, I shorts) { return _mm256_add_epi32(acc, _mm256_madd_epi16(shorts, _mm256_set1_epi16(1))); }
  static I broadcast4(const int8_t* p) {
    int bits;
    std::memcpy(&bits, p, 4);
    return _mm256_set1_epi32(bits);
  }

  static void fetch_with(I& x, const uint8_t* p) { asm volatile("prefetcht0 %1" : "+x"(x) : "m"(*p)); }

  static I gather(const uint8_t* base, size_t stride) {
    alignas(32) uint32_t x[8];
    for (size_t r = 0; r < 8; ++r) std::memcpy(&x[r], base + r * stride, 4);
    return _mm256_load_si256(reinterpret_cast<const I*>(x));
  }
  template <class Row>
  static void transpose16(Row row, I* out) {
    const auto piece = [&](uint32_t r) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(row(r))); };
    I x[4];
    for (uint32_t i = 0; i < 4; ++i) x[i] = _mm256_inserti128_si256(_mm256_castsi128_si256(piece(i)), piece(4 + i), 1);
    const I a = _mm256_unpacklo_epi32(x[0], x[1]), b = _mm256_unpackhi_epi32(x[0], x[1]);
    const I c = _mm256_unpacklo_epi32(x[2], x[3]), d = _mm256_unpackhi_epi32(x[2], x[3]);
    out[0] = _mm256_unpacklo_epi64(a, c);
    out[1] = _mm256_unpackhi_epi64(a, c);
    out[2] = _mm256_unpacklo_epi64(b, d);
    out[3] = _mm256_unpackhi_epi64(b, d);
  }

  static void store_i8(int8_t* p, F x) {
    const I i = _mm256_cvtps_epi32(x);
    const __m128i s = _mm_packs_epi32(_mm256_castsi256_si128(i), _mm256_extracti128_si256(i, 1));
    _mm_storel_epi64(reinterpret_cast<__m128i*>(p), _mm_packs_epi16(s, s));
  }

 private:
  static I first(int n) { return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7)); }
  static __m128i load_shorts(const uint16_t* p, int n) {
    alignas(16) uint16_t x[8] = {};
    std::memcpy(x, p, static_cast<size_t>(n) * 2);
    return _mm_load_si128(reinterpret_cast<const __m128i*>(x));
  }
  static F widen_bfloat(__m128i x) { return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(x), 16)); }
};

}  // namespace hearth::cpu
