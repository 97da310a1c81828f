// Which tensors the blocks of an encoder have.
#include "base/error.h"
#include "vision/tower.h"

namespace hearth::vision {

Layout row_by_row(uint32_t columns, uint32_t rows) {
  return in_groups(columns, rows, 1);
}

Layout in_groups(uint32_t columns, uint32_t rows, uint32_t side) {
  Layout layout{columns, rows, {}};
  for (uint32_t y = 0; y + side <= rows; y += side)
    for (uint32_t x = 0; x + side <= columns; x += side)
      for (uint32_t i = 0; i < side * side; ++i) layout.order.push_back((y + i / side) * columns + x + i % side);
  return layout;
}

Result<BoundedLinear> Tower::bounded(models::TensorReader& reader, const std::string& name, uint32_t rows,
                                     uint32_t cols) {
  BoundedLinear all;
  ASSIGN_OR_RETURN(all.linear, reader.linear(name, rows, cols));
  const Keys keys(reader.file());
  for (const auto& [bound, to] : {std::pair{".input_min", &all.in_least},
                                  {".input_max", &all.in_most},
                                  {".output_min", &all.out_least},
                                  {".output_max", &all.out_most}}) {
    if (!reader.has(name + bound)) continue;
    ASSIGN_OR_RETURN(const std::vector<float> value, keys.values(name + bound, 1));
    TRY(reader.vector(name + bound, 1));
    *to = value[0];
  }
  return all;
}

Status Tower::read_block(models::TensorReader& reader, uint32_t index) {
  const std::string name = fmt::format("v.blk.{}.", index);
  const uint32_t width = spec_.width;
  Block block;
  ASSIGN_OR_RETURN(block.attention_norm, reader.norm(name + "ln1", width));
  ASSIGN_OR_RETURN(block.feed_forward_norm, reader.norm(name + "ln2", width));
  for (const auto& [norm, to] :
       {std::pair{"attn_post_norm", &block.attention_post_norm}, {"ffn_post_norm", &block.feed_forward_post_norm}}) {
    if (!reader.has(name + norm + ".weight")) continue;
    ASSIGN_OR_RETURN(*to, reader.norm(name + norm, width));
  }
  if (reader.has(name + "attn_qkv.weight")) {
    ASSIGN_OR_RETURN(block.qkv, bounded(reader, name + "attn_qkv", 3 * width, width));
  } else {
    for (const auto& [part, to] : {std::pair{"attn_q", &block.q}, {"attn_k", &block.k}, {"attn_v", &block.v}}) {
      ASSIGN_OR_RETURN(*to, bounded(reader, name + part, width, width));
    }
  }
  for (const auto& [norm, to] :
       {std::pair{"attn_q_norm.weight", &block.q_norm}, {"attn_k_norm.weight", &block.k_norm}}) {
    const gguf::Tensor* tensor = reader.file().tensor(name + norm);
    if (tensor == nullptr) continue;
    ASSIGN_OR_RETURN(*to, reader.vector(name + norm, tensor->values() == width ? width : spec_.head()));
  }
  ASSIGN_OR_RETURN(block.attention_output, bounded(reader, name + "attn_out", width, width));
  // In old files the names stand the other way round.
  const gguf::Tensor* named_down = reader.file().tensor(name + "ffn_down.weight");
  if (named_down == nullptr)
    return error(ErrorKind::kInvalidData, "{}: tensor {}ffn_down.weight is missing", reader.file().path(), name);
  const bool swapped = named_down->shape[0] == width && named_down->shape[1] != width;
  const uint64_t inner = named_down->shape[swapped ? 1 : 0];
  if (index == 0) feed_forward_ = static_cast<uint32_t>(std::min<uint64_t>(inner, 1 << 20));
  ASSIGN_OR_RETURN(block.up, bounded(reader, name + (swapped ? "ffn_down" : "ffn_up"), feed_forward_, width));
  ASSIGN_OR_RETURN(block.down, bounded(reader, name + (swapped ? "ffn_up" : "ffn_down"), width, feed_forward_));
  if (reader.has(name + "ffn_gate.weight")) {
    ASSIGN_OR_RETURN(block.gate, bounded(reader, name + "ffn_gate", feed_forward_, width));
  }
  ASSIGN_OR_RETURN(block.attention_scale, reader.optional_vector(name + "ls1.weight", width));
  ASSIGN_OR_RETURN(block.feed_forward_scale, reader.optional_vector(name + "ls2.weight", width));
  blocks_.push_back(std::move(block));
  return {};
}

Status Tower::read(models::TensorReader& reader) {
  const uint32_t patch = spec_.patch;
  const std::string name = "v.patch_embd.weight";
  if (spec_.two_frames && !reader.has(name + ".1")) {  // both in one tensor
    ASSIGN_OR_RETURN(patches_.weight, reader.convolution_of_frame(name, spec_.width, 3, patch, 2, 0));
    ASSIGN_OR_RETURN(second_patches_.weight, reader.convolution_of_frame(name, spec_.width, 3, patch, 2, 1));
  } else {
    ASSIGN_OR_RETURN(patches_.weight, reader.convolution(name, spec_.width, 3, patch));
  }
  if (spec_.two_frames && reader.has(name + ".1")) {
    ASSIGN_OR_RETURN(second_patches_.weight, reader.convolution(name + ".1", spec_.width, 3, patch));
  }
  ASSIGN_OR_RETURN(patches_.bias, reader.optional_vector("v.patch_embd.bias", spec_.width));
  if (spec_.pre_norm) {
    ASSIGN_OR_RETURN(first_norm_, reader.norm("v.pre_ln", spec_.width));
  }
  blocks_.clear();
  for (uint32_t i = 0; i < spec_.layers; ++i) TRY(read_block(reader, i));
  return {};
}

}  // namespace hearth::vision
