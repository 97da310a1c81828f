// Weight formats: how a block of weights is stored. One file per format defines a Format and
// registers it; its scalar decode is the oracle that every kernel is compared with.
//
// Type numbers, block sizes and layouts: the GGUF specification
// (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md) and ggml's block definitions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "base/registry.h"

namespace hearth::quant {

struct Format {
  const char* name;       // as in GGUF tools: "Q4_K"
  uint32_t type;          // the tensor type number in a GGUF file
  uint32_t block_values;  // values per block; a row holds a whole number of blocks
  uint32_t block_bytes;

  // Decodes `values` values (a multiple of block_values), bit-exact with ggml's reference.
  void (*decode)(const uint8_t* blocks, size_t values, float* out);

  // Encodes `values` values. `importance` is null or one weight per value (an activation second
  // moment: errors there cost more). Null if the format cannot be written.
  void (*encode)(const float* in, size_t values, const float* importance, uint8_t* blocks);

  // Whether all scales of so many blocks are finite (all values, in formats without scales), which sound weights
  // are. Much faster than decode().
  bool (*finite)(const uint8_t* blocks, size_t count);
  uint32_t scale_values = 32;  // adjacent values that share a scale: 16, or 32 and more
  bool minima = false;         // weight = scale * code - minimum, not just scale * code

  size_t bytes(size_t values) const { return values / block_values * block_bytes; }
};

using RegisterFormat = Register<Format>;

// Null if there is no such format.
const Format* find_type(uint32_t type);
const Format* find_name(std::string_view name);  // case-insensitive

// Every format, by type number.
std::vector<const Format*> all_formats();

}  // namespace hearth::quant
