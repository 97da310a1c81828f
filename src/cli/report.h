// The figures that --verbose shows after an answer.
#pragma once

#include <chrono>
#include <string>

#include "engine/engine.h"
#include "gguf/file.h"
#include "models/spec.h"

namespace hearth::cli {

// The matrix that gives the logits: the embedding table where a model has no output matrix of its own.
const gguf::Tensor* output_matrix(const gguf::File& file);

// The part of a tensor that one token needs: all, nothing of a table whose rows are looked up, or the share
// of the experts that are used.
double share_per_token(const gguf::File& file, const models::Spec& spec, const gguf::Tensor& tensor);

// Bytes of weights that are read to generate one token: all but the rows of the embedding table that are not
// looked up, and the experts that are not used.
uint64_t bytes_per_token(const gguf::File& file, const models::Spec& spec);

struct Report {
  std::chrono::nanoseconds total, load, read;  // read: of the load, what the weights took
  engine::Usage usage;
  uint64_t bytes_per_token = 0;
  engine::DeviceStatus devices;
};
// Lines as Ollama's --verbose prints them (label padded to 22 columns, zero values skipped), then bandwidth,
// memory and placement. Ends without a newline.
std::string to_string(const Report& report);

}  // namespace hearth::cli
