#include "vision/spec.h"

#include <cmath>

#include "base/error.h"

namespace hearth::vision {
namespace {

// Far above any encoder, small enough that no product overflows.
constexpr uint32_t kMost_size = 1 << 14, kMost_patch = 256, kMost_width = 1 << 16, kMost_heads = 1 << 10,
                   kMost_layers = 1 << 10;

Status read_pixels(const Keys& keys, Spec* spec) {
  ASSIGN_OR_RETURN(const std::vector<float> mean, keys.numbers("image_mean", 3));
  ASSIGN_OR_RETURN(const std::vector<float> deviation, keys.numbers("image_std", 3));
  for (size_t c = 0; c < 3; ++c) {
    if (!(deviation[c] > 0))
      return error(ErrorKind::kInvalidData, "{}: clip.vision.image_std has {}; expected more than 0",
                   keys.file().path(), deviation[c]);
    spec->mean[c] = mean[c];
    spec->deviation[c] = deviation[c];
  }
  return {};
}

}  // namespace

Result<Spec> read_spec(const Keys& keys) {
  Spec spec;
  spec.projector = projector_of(keys.file());
  ASSIGN_OR_RETURN(spec.image_size, keys.count("image_size", 1, kMost_size));
  ASSIGN_OR_RETURN(spec.patch, keys.count("patch_size", 1, kMost_patch));
  ASSIGN_OR_RETURN(spec.width, keys.count("embedding_length", 1, kMost_width));
  ASSIGN_OR_RETURN(spec.heads, keys.count("attention.head_count", 1, kMost_heads));
  ASSIGN_OR_RETURN(spec.layers, keys.count("block_count", 1, kMost_layers));
  ASSIGN_OR_RETURN(spec.epsilon, keys.number("attention.layer_norm_epsilon", 0, 1));
  TRY(read_pixels(keys, &spec));
  if (spec.width % spec.heads != 0)
    return error(ErrorKind::kInvalidData, "{}: {} heads do not divide a width of {}", keys.file().path(), spec.heads,
                 spec.width);
  if (keys.flag("use_gelu")) spec.activation = device::Activation::kGeluTanh;
  if (keys.flag("use_silu")) spec.activation = device::Activation::kSilu;
  spec.class_token = keys.has("v.class_embd");
  spec.pre_norm = keys.has("v.pre_ln.weight");
  spec.attention_scale = 1 / std::sqrt(static_cast<float>(spec.head()));
  return spec;
}

}  // namespace hearth::vision
