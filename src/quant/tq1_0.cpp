// TQ1_0: 256 values, 54 bytes. x = d * (t - 1), t in 0..2.
//
//   offset  bytes
//        0     32  byte i: t[32 n + i], n 0..4
//       32     16  byte i: t[160 + 16 n + i], n 0..4
//       48      4  byte i: t[240 + 4 n + i], n 0..3
//       52      2  d, half
//
// A byte b holds its t's as the base-3 digits of a fraction: b = ceil(256 * 0.t0 t1 t2 t3 t4), so that
// digit n is (3 * (b * 3^n mod 256)) / 256.
#include "quant/finite.h"
#include "quant/fit.h"
#include "quant/format.h"
#include "quant/packed.h"

namespace hearth::quant {
namespace {

constexpr size_t kValues = 256, kBytes = 54;

// A run of `bytes` bytes from `at` on, each with `digits` digits `bytes` values apart.
struct Run {
  size_t at, bytes, digits;
};
constexpr Run kRuns[] = {{0, 32, 5}, {32, 16, 5}, {48, 4, 4}};

void decode(const uint8_t* blocks, size_t values, float* out) {
  constexpr int kPower[] = {1, 3, 9, 27, 81};
  for (; values != 0; values -= kValues, blocks += kBytes) {
    const float d = load_half(blocks + 52);
    for (const Run& run : kRuns)
      for (size_t n = 0; n < run.digits; ++n)
        for (size_t i = 0; i < run.bytes; ++i)
          *out++ = static_cast<float>(((blocks[run.at + i] * kPower[n] & 255) * 3 >> 8) - 1) * d;
  }
}

void encode(const float* in, size_t values, const float* importance, uint8_t* blocks) {
  for (size_t at = 0; at < values; at += kValues, blocks += kBytes) {
    const Samples s(in + at, importance != nullptr ? importance + at : nullptr, kValues);
    store_half(blocks + 52, fit_scale(s.x, s.w, kValues, -1, 1));
    int8_t q[kValues];
    quantize(s.x, kValues, load_half(blocks + 52), -1, 1, q);
    const int8_t* next = q;
    for (const Run& run : kRuns) {
      for (size_t i = 0; i < run.bytes; ++i) {
        int digits = 0;
        for (size_t n = 0; n < 5; ++n) digits = digits * 3 + (n < run.digits ? next[n * run.bytes + i] + 1 : 0);
        blocks[run.at + i] = static_cast<uint8_t>((digits * 256 + 242) / 243);
      }
      next += run.bytes * run.digits;
    }
  }
}

const Format kTq1_0{"TQ1_0", 34, kValues, kBytes, decode, encode, finite_halves<kBytes, 52>};
const RegisterFormat registered(&kTq1_0);

}  // namespace
}  // namespace hearth::quant
