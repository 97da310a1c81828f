// After an answer: did the GPU generate as fast as it should?
#pragma once

#include <optional>

#include "doctor/slow_decode.h"
#include "engine/device_status.h"

namespace hearth::cli {

// What keeps the GPU from generating at a rate near what its memory allows; nothing if it does, if the model is
// not wholly on one GPU, or if the GPU's rated bandwidth is not known. `bytes_per_token`: of weights and cache.
std::optional<doctor::Finding> check_speed(const engine::DeviceStatus& devices, double tokens_per_s,
                                           double bytes_per_token);

}  // namespace hearth::cli
