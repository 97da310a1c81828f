// The tensors of a model, found by name, with every shape checked.
#pragma once

#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "base/result.h"
#include "device/device.h"
#include "gguf/file.h"
#include "models/spec.h"

namespace hearth::models {

struct Linear {
  device::Matrix weight;
  device::Vector bias;
};

struct Norm {
  device::Vector weight, bias;
};

// What a layer lacks is null.
struct LayerWeights {
  Norm attention_norm, feed_forward_norm;
  Norm post_attention_norm, post_feed_forward_norm;
  Linear qkv;      // all three in one, or
  Linear q, k, v;  // one by one
  device::Vector q_norm, k_norm;
  Linear attention_output;
  Linear gate, up, down;                                    // dense, or
  device::Matrix router, expert_gate, expert_up, expert_down;  // experts
};

struct Weights {
  device::Matrix embedding, positions;
  std::vector<LayerWeights> layers;
  Norm output_norm;
  Linear output;  // the embedding again where the file has no matrix of its own
};

// Takes tensors out of a file. Without a device it only checks and counts; with one it places
// matrices there and uploads vectors, as float32, to `vectors` (vector_bytes() of a counting reader).
class TensorReader {
 public:
  explicit TensorReader(const gguf::File& file) : file_(file) {}
  TensorReader(const gguf::File& file, device::Device& device, std::byte* vectors)
      : file_(file), device_(&device), vectors_(vectors) {}

  bool has(std::string_view name) const { return file_.tensor(name) != nullptr; }

  // Errors: kInvalidData naming the tensor: missing, or of another shape than expected.
  Result<device::Matrix> matrix(const std::string& name, uint32_t rows, uint32_t cols);
  // `count` matrices one after the other in one tensor.
  Result<device::Matrix> matrices(const std::string& name, uint32_t count, uint32_t rows, uint32_t cols);
  Result<device::Vector> vector(const std::string& name, uint32_t size);
  Result<device::Vector> optional_vector(const std::string& name, uint32_t size);
  Result<Linear> linear(const std::string& name, uint32_t rows, uint32_t cols);  // NAME.weight, maybe NAME.bias
  Result<Norm> norm(const std::string& name, uint32_t size);                     // likewise

  // kUnsupported if the file has a tensor that was neither taken nor in `others` (see Spec): what it
  // does would be missing from the results.
  Status check_all_taken(const Spec& spec) const;

  const gguf::File& file() const { return file_; }
  uint64_t matrix_bytes() const { return matrix_bytes_; }
  uint64_t vector_bytes() const { return vector_bytes_; }

 private:
  Result<const gguf::Tensor*> take(const std::string& name, const std::array<uint64_t, gguf::kMaxDimensions>& shape);

  const gguf::File& file_;
  device::Device* device_ = nullptr;
  std::byte* vectors_ = nullptr;
  uint64_t matrix_bytes_ = 0, vector_bytes_ = 0;
  std::unordered_set<std::string_view> taken_;
};

// All tensors that `spec` asks for. Matrices and vectors are usable if the reader has a device.
Result<Weights> read_weights(TensorReader& reader, const Spec& spec);

}  // namespace hearth::models
