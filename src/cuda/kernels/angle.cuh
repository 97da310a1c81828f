// Sine and cosine of rotary positions: angles up to millions, to float32 precision.
#pragma once

namespace hearth::cuda {

// The angle position * frequency is taken as an exact sum of two floats and reduced to [-pi/4, pi/4] with
// pi/2 split in three (Cody and Waite 1980); there polynomials with an error below one unit in the last place.
__device__ inline void sine_cosine(float position, float frequency, float& sine, float& cosine) {
  const float angle = position * frequency;
  const float rest = fmaf(position, frequency, -angle);
  const float turns = rintf(angle * 0.63661977236758134308f);
  float r = fmaf(turns, -1.5707962513e+00f, angle);
  r = fmaf(turns, -7.5497894159e-08f, r);
  r = fmaf(turns, -5.3903029534e-15f, r) + rest;
  const float square = r * r;
  float s = fmaf(square, fmaf(square, fmaf(square, 2.7557314297e-06f, -1.9841270114e-04f), 8.3333337680e-03f),
                 -1.6666667163e-01f);
  s = fmaf(s * square, r, r);
  float c = fmaf(square, fmaf(square, fmaf(square, 2.4801587642e-05f, -1.3888889225e-03f), 4.1666667908e-02f), -0.5f);
  c = fmaf(c, square, 1.0f);
  const int quadrant = static_cast<int>(turns);
  const float swapped_sine = (quadrant & 1) != 0 ? c : s, swapped_cosine = (quadrant & 1) != 0 ? s : c;
  sine = (quadrant & 2) != 0 ? -swapped_sine : swapped_sine;
  cosine = ((quadrant + 1) & 2) != 0 ? -swapped_cosine : swapped_cosine;
}

}  // namespace hearth::cuda
