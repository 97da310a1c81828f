// Formats of 4 bits whose 16 codes stand for unevenly spaced integers.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace hearth::quant {

struct Codebook {
  std::array<int8_t, 16> values;         // by code
  std::array<int8_t, 512> nearest_code;  // of v: at floor(2 v) + 256; exact, as all midpoints are multiples of 1/2

  constexpr explicit Codebook(const std::array<int8_t, 16>& of) : values(of), nearest_code{} {
    for (int cell = 0; cell < 512; ++cell) {
      const int middle = 2 * (cell - 256) + 1;  // of the cell, times 4
      int best = 0;
      for (int code = 1; code < 16; ++code)
        if (distance(middle, code) < distance(middle, best)) best = code;
      nearest_code[static_cast<size_t>(cell)] = static_cast<int8_t>(best);
    }
  }

  uint8_t code(float v) const {
    const float cell = 2 * (v > -127.5f ? v < 127.0f ? v : 127.0f : -127.5f) + 256;  // positive: truncation is floor
    return static_cast<uint8_t>(nearest_code[static_cast<size_t>(static_cast<int>(cell))]);
  }

 private:
  constexpr int distance(int middle, int code) const {
    const int d = middle - 4 * values[static_cast<size_t>(code)];
    return d < 0 ? -d : d;
  }
};

// ggml's table for IQ4_NL and IQ4_XS (ggml-common.h, kvalues_iq4nl; MIT).
inline constexpr Codebook kIq4_codebook{{-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113}};

// Twice the values of the 4-bit float E2M1 (OCP Microscaling Formats 1.0, section 5.3.3).
inline constexpr Codebook kE2m1_codebook{{0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12}};

// The best scale for x ~ scale * book.values[code]; see fit.h for w.
float fit_codebook(const float* x, const float* w, size_t n, const Codebook& book);

// The nearest codes; zero scale: those of zero.
void quantize(const float* x, size_t n, float scale, const Codebook& book, uint8_t* codes);

// Weighted squared error of what quantize() would choose.
float codebook_error(const float* x, const float* w, size_t n, float scale, const Codebook& book);

}  // namespace hearth::quant
