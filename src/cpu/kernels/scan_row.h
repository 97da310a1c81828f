// What a kernel of recurrent layers works on.
#pragma once

#include <cstdint>

namespace hearth::cpu {

struct ScanRow {
  float* state;  // [value][key]
  const float *q, *k, *v;
  uint32_t key_dim, value_dim;
  float decay, weight, q_scale, k_scale;
  bool delta;  // what the state holds for the key already is taken from the value
  float* out;  // [value]
};

}  // namespace hearth::cpu
