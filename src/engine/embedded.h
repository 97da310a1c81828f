// Parts of a prompt that are rows in place of tokens: how many, and where they stand.
#pragma once

#include <span>

#include "device/types.h"
#include "engine/engine.h"

namespace hearth::engine {

uint32_t rows_of(const EmbeddedPart& part, uint32_t width);

// Where the token at this position stands: text goes on behind a picture of columns and rows at the larger of both
// (M-RoPE; Wang et al. 2024, "Qwen2-VL"). `parts`: of the sequence, ascending.
device::Place place_of(std::span<const EmbeddedPart> parts, uint32_t width, uint32_t position);

}  // namespace hearth::engine
