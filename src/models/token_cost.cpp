#include "models/token_cost.h"

#include "models/weights.h"

namespace hearth::models {

const gguf::Tensor* output_matrix(const gguf::File& file) {
  const gguf::Tensor* own = file.tensor("output.weight");
  return own != nullptr ? own : file.tensor("token_embd.weight");
}

double share_per_token(const gguf::File& file, const Spec& spec, const gguf::Tensor& tensor) {
  const bool table = tensor.name == "position_embd.weight" || tensor.name == "token_embd.weight" ||
                     tensor.name == "per_layer_token_embd.weight";
  if (table && &tensor != output_matrix(file)) return 0;
  const bool expert = spec.experts > 0 && is_of_experts(tensor.name);
  return expert ? static_cast<double>(spec.experts_used) / spec.experts : 1;
}

uint64_t bytes_per_token(const gguf::File& file, const Spec& spec) {
  double bytes = 0;
  for (const gguf::Tensor& tensor : file.tensors())
    bytes += static_cast<double>(tensor.bytes) * share_per_token(file, spec, tensor);
  return static_cast<uint64_t>(bytes);
}

}  // namespace hearth::models
