// The tensors of a model, found by name, with every shape checked.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "base/result.h"
#include "device/device.h"
#include "gguf/file.h"
#include "gguf/quantization_recipe.h"
#include "models/spec.h"
#include "models/weight_stream.h"

namespace hearth::models {

struct Linear {
  device::Matrix weight;
  device::Vector bias;
};

struct Norm {
  device::Vector weight, bias;
};

// Of latent attention (models/latent.h).
struct LatentWeights {
  Linear query_down;  // to the width of query_norm, or null:
  Linear query;       // of what is normalised, or of x
  device::Vector query_norm;
  Linear down;  // to what is cached
  device::Vector norm;
  device::Matrix key_up, value_up;  // of all heads: rank x key, and value x rank
};

// Of layers that keep a state (models/recurrent.h).
struct RecurrentWeights {
  Linear in, out;
  device::Matrix gate;         // of delta nets
  device::Matrix beta_alpha;   // both in one, or
  device::Matrix beta, alpha;  // one by one
  device::Vector convolution, convolution_bias;
  device::Vector step_bias, decay, skip, norm;
};

// Of a layer that has inputs of its own (models/layer_inputs.h).
struct LayerInputWeights {
  Linear gate, up;
  Norm norm;
};

// Of a residual of several streams (models/streams.h).
struct StreamWeights {
  device::Vector router_norm, correct_scale;
  device::Matrix router, predict, correct;
  Linear side_down, side_up;
  Norm side_norm;
};

// What a layer lacks is null.
struct LayerWeights {
  Norm attention_norm, feed_forward_norm;
  Norm post_attention_norm, post_feed_forward_norm;  // on results, or on the sums (Spec::norms_on_sums)
  Linear qkv;                                        // all three in one, or
  Linear q, k, v;                                    // one by one
  device::Vector q_norm, k_norm, sinks;
  LatentWeights latent;  // or these in place of q, k and v
  RecurrentWeights recurrent;
  Linear attention_output;
  Linear gate, up, down;                                       // dense, or
  device::Matrix router, expert_gate, expert_up, expert_down;  // experts
  device::Vector router_bias, choice_bias;                     // see device::ExpertsArgs
  device::Vector expert_gate_bias, expert_up_bias, expert_down_bias;
  Linear shared_gate, shared_up, shared_down;  // the expert that every token uses
  device::Matrix shared_share;                 // one row: how much of it
  Linear expert_down_to, expert_up_from;       // see Spec::expert_width
  device::Vector expert_result_scale;          // see device::ExpertsArgs
  // See Spec::dense_beside_experts.
  device::Vector router_norm;
  Norm dense_post_norm, experts_norm, experts_post_norm;
  LayerInputWeights inputs;
  StreamWeights streams;
  device::Vector output_scale;  // on x behind the layer, a row of equal numbers
};

struct Weights {
  device::Matrix embedding, positions;
  Linear project_in, project_out;  // between the width of the tables and the model's
  device::Matrix layer_table;      // see models/layer_inputs.h
  Linear layer_project;
  device::Vector layer_project_norm;
  device::Matrix streams_in, streams_out;  // see models/streams.h: a matrix for each stream but the first
  std::vector<LayerWeights> layers;
  Norm output_norm;
  Linear output;  // the embedding again where the file has no matrix of its own
};

struct MatrixShape {
  uint32_t rows = 0, cols = 0;
};
struct MatrixPlace {
  uint32_t row = 0, col = 0;
};

// Takes tensors out of a file, in two ways. Counting: checks, and reckons what they take on a device; what
// it returns has addresses that are not null and mean nothing. Loading: reads them into memory of that device (bytes()
// of a counting reader that was asked for the same), but for matrices that it reads in the mapped file (unless `copy`:
// see LoadOptions).
class TensorReader {
 public:
  TensorReader(const gguf::File& file, const device::Sizing& sizing, bool copy)
      : file_(file), sizing_(sizing), in_file_(sizing.reads_host_memory() && !copy) {}
  TensorReader(const gguf::File& file, device::Device& device, bool copy, std::byte* memory, WeightStream& stream)
      : TensorReader(file, device, copy) {
    device_ = &device;
    memory_ = memory;
    stream_ = &stream;
  }

  // Counting only: reckons with the formats that this quantisation gives the tensors.
  void assume(const gguf::QuantizationRecipe& recipe);

  bool has(std::string_view name) const { return file_.tensor(name) != nullptr; }

  // Errors: kInvalidData naming the tensor: missing, or of another shape than expected; when loading also those of
  // gguf::File::read() and of the device.
  Result<device::Matrix> matrix(const std::string& name, uint32_t rows, uint32_t cols);
  // `count` matrices one after the other in one tensor.
  Result<device::Matrix> matrices(const std::string& name, uint32_t count, uint32_t rows, uint32_t cols);
  // The matrices of all experts: NAME_exps.weight, or in files made before April 2024 NAME.0.weight,
  // NAME.1.weight and so on, which are put together (in memory of the device, also where it could read the file).
  Result<device::Matrix> experts(const std::string& name, uint32_t count, uint32_t rows, uint32_t cols);
  // A matrix of other rows, `parts` of equal rows one above the other, made of a tensor's values: `from` says where
  // each lies there. In halves, unless the tensor is in float32; also a CPU keeps it in memory of its own.
  Result<device::Matrix> rearranged(const std::string& name, MatrixShape tensor, MatrixShape shape, uint32_t parts,
                                    const std::function<MatrixPlace(uint32_t row, uint32_t col)>& from);
  // The matrix on square patches of a picture: `side` x `side` numbers of each channel, one after the other.
  Result<device::Matrix> convolution(const std::string& name, uint32_t rows, uint32_t channels, uint32_t side);
  // That of one of the `frames` of a film, where one tensor has those of all: channel by channel frame after frame. As
  // rearranged() has it.
  Result<device::Matrix> convolution_of_frame(const std::string& name, uint32_t rows, uint32_t channels, uint32_t side,
                                              uint32_t frames, uint32_t frame);
  Result<device::Vector> vector(const std::string& name, uint32_t size, float factor = 1);  // times `factor`
  Result<device::Vector> repeated(const std::string& name, uint32_t size);  // of one number, so many times
  // Numbers in a tensor of this shape, innermost dimension first.
  Result<device::Vector> numbers(const std::string& name, uint32_t inner, uint32_t outer);
  Result<device::Vector> optional_vector(const std::string& name, uint32_t size);
  // `rows` numbers for each expert, if there are any.
  Result<device::Vector> expert_biases(const std::string& name, uint32_t experts, uint32_t rows);
  Result<Linear> linear(const std::string& name, uint32_t rows, uint32_t cols);  // NAME.weight, maybe NAME.bias
  Result<Norm> norm(const std::string& name, uint32_t size, float factor = 1);   // likewise

  // kUnsupported if the file has a tensor that was neither taken nor in `others` (see Spec): what it
  // does would be missing from the results.
  Status check_all_taken(const Spec& spec) const;

  const gguf::File& file() const { return file_; }
  uint64_t bytes() const { return bytes_; }                // of device memory
  uint64_t mapped_bytes() const { return mapped_bytes_; }  // of matrices that are read in the file

 private:
  Result<const gguf::Tensor*> take(const std::string& name, const std::array<uint64_t, gguf::kMaxDimensions>& shape);
  Result<device::Vector> read_vector(const std::string& name, const std::array<uint64_t, gguf::kMaxDimensions>& shape,
                                     float factor = 1);
  // A matrix that begins with the tensor's data, in the format that was assumed.
  Result<device::Matrix> described(const gguf::Tensor& tensor, uint32_t count, uint32_t rows, uint32_t cols) const;
  Result<device::Matrix> rearrange(const gguf::Tensor& tensor, uint32_t tensor_cols, MatrixShape shape, uint32_t parts,
                                   const std::function<MatrixPlace(uint32_t row, uint32_t col)>& from);
  // Read in the file, or taken to the device.
  Result<device::Matrix> place(const gguf::Tensor& tensor, device::Matrix matrix, uint32_t parts);
  // Where a matrix goes; null when counting.
  std::byte* take_memory(const device::Matrix& matrix);

  const gguf::File& file_;
  const device::Sizing& sizing_;
  const bool in_file_;                // matrices are read there
  device::Device* device_ = nullptr;  // null: counting
  std::byte* memory_ = nullptr;
  WeightStream* stream_ = nullptr;
  std::optional<gguf::QuantizationRecipe> recipe_;
  gguf::ModelProperties properties_;
  uint64_t bytes_ = 0, mapped_bytes_ = 0;
  std::unordered_set<std::string_view> taken_;
};

// Attention, norms and the dense feed-forward of a layer: what does not belong to read_experts().
Status read_layer(TensorReader& reader, const Spec& spec, uint32_t index, LayerWeights* layer);
// Holds weights of experts, of which a token uses some only.
bool is_of_experts(std::string_view tensor);
// The experts of a layer with their router and the norm before them; nothing in a dense layer.
bool has_experts(const gguf::File& file, const Spec& spec, uint32_t index);
Status read_experts(TensorReader& reader, const Spec& spec, uint32_t index, LayerWeights* layer);
Status read_embedding(TensorReader& reader, const Spec& spec, Weights* weights);
// The output norm and matrix. `tied`: the file has no matrix of its own, and the embedding table that was
// read before lies on the same device, so that it serves.
bool has_own_output(const gguf::File& file);
Status read_output(TensorReader& reader, const Spec& spec, bool tied, Weights* weights);

// All tensors that `spec` asks for, and an error if the file has more.
Result<Weights> read_weights(TensorReader& reader, const Spec& spec);

}  // namespace hearth::models
