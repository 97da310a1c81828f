// What one generated token reads of a model's weights.
#pragma once

#include "gguf/file.h"
#include "models/spec.h"

namespace hearth::models {

// The matrix that gives the logits: the embedding table where a model has no output matrix of its own.
const gguf::Tensor* output_matrix(const gguf::File& file);

// The part of a tensor that one token needs: all, nothing of a table whose rows are looked up, or the share
// of the experts that are used.
double share_per_token(const gguf::File& file, const Spec& spec, const gguf::Tensor& tensor);

// Bytes of weights that are read to generate one token: all but the rows of the embedding table that are not
// looked up, and the experts that are not used.
uint64_t bytes_per_token(const gguf::File& file, const Spec& spec);

}  // namespace hearth::models
