// I8, I16, I32, I64, F64: little-endian numbers, one per value. GGUF files may hold them; weights in
// them are read (rounded to float32) and never written.
#include <cmath>

#include "quant/finite.h"
#include "quant/format.h"
#include "quant/packed.h"

namespace hearth::quant {
namespace {

template <class T>
void decode(const uint8_t* blocks, size_t values, float* out) {
  for (size_t i = 0; i < values; ++i) out[i] = static_cast<float>(load<T>(blocks + sizeof(T) * i));
}

// As float32.
template <class T>
bool finite(const uint8_t* blocks, size_t count) {
  bool finite = true;
  for (size_t i = 0; i < count; ++i) finite &= std::isfinite(static_cast<float>(load<T>(blocks + sizeof(T) * i)));
  return finite;
}

const Format kI8{"I8", 24, 1, 1, decode<int8_t>, nullptr, always_finite};
const Format kI16{"I16", 25, 1, 2, decode<int16_t>, nullptr, always_finite};
const Format kI32{"I32", 26, 1, 4, decode<int32_t>, nullptr, always_finite};
const Format kI64{"I64", 27, 1, 8, decode<int64_t>, nullptr, always_finite};
const Format kF64{"F64", 28, 1, 8, decode<double>, nullptr, finite<double>};
const RegisterFormat registered[] = {RegisterFormat(&kI8), RegisterFormat(&kI16), RegisterFormat(&kI32),
                                     RegisterFormat(&kI64), RegisterFormat(&kF64)};

}  // namespace
}  // namespace hearth::quant
