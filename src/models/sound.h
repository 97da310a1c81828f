// Whether weights are what a model can have been saved with.
#pragma once

#include <span>

#include "base/result.h"
#include "gguf/file.h"

namespace hearth::models {

// kInvalidData naming the tensor if its scales (values, where there are no scales) are not finite. `bytes`: whole blocks
// of the tensor: the check goes with the copy of weights to a device, which has them in memory anyway.
Status check_sound(const gguf::File& file, const gguf::Tensor& tensor, std::span<const std::byte> bytes);

// The same for a vector (norm weights, biases) that is decoded already. Norm weights are not all zeros either.
Status check_sound(const gguf::File& file, const gguf::Tensor& tensor, std::span<const float> values);

// kInvalidData if the file ends in zeros where a model has none: the download was not completed, and what is missing
// was reserved on the disk before. Reads no more than these zeros.
Status check_complete(const gguf::File& file);

}  // namespace hearth::models
