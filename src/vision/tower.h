// The blocks of an encoder: patches of a picture to one row each, every row seeing all others or those of its window
// (Dosovitskiy et al. 2021, "An Image is Worth 16x16 Words"). What families do otherwise is in Spec and in which
// tensors exist.
#pragma once

#include <functional>
#include <limits>
#include <vector>

#include "image/picture.h"
#include "models/weights.h"
#include "vision/spec.h"
#include "vision/workbench.h"

namespace hearth::vision {

// How the patches of one view become rows.
struct Layout {
  uint32_t columns = 0, rows = 0;      // of patches
  std::vector<uint32_t> order;         // row i behind the class token is this patch, counted row by row
  std::vector<uint32_t> windows = {};  // sizes of runs of rows that see one another where blocks have windows
};

// Patch after patch; or `side` x `side` neighbours after one another, each group row by row. Patches that make up no
// whole group are left out.
Layout row_by_row(uint32_t columns, uint32_t rows);
Layout in_groups(uint32_t columns, uint32_t rows, uint32_t side);

// A matrix that comes with bounds for what goes in and out (Gemma 4).
struct BoundedLinear {
  models::Linear linear;
  float in_least = -std::numeric_limits<float>::infinity(), in_most = std::numeric_limits<float>::infinity();
  float out_least = in_least, out_most = in_most;
};

struct Block {
  models::Norm attention_norm, feed_forward_norm, attention_post_norm, feed_forward_post_norm;
  BoundedLinear qkv, q, k, v, attention_output, gate, up, down;
  device::Vector q_norm, k_norm;  // of each head, or of all at once
  device::Vector attention_scale, feed_forward_scale;
};

class Tower {
 public:
  explicit Tower(Spec spec) : spec_(std::move(spec)) {}
  const Spec& spec() const { return spec_; }

  // Takes its tensors: the patches' matrices, the first norm, the blocks. Errors: those of the reader.
  Status read(models::TensorReader& reader);

  // What the device must be reserved for, and what a run takes of memory, of up to so many rows.
  device::StepShape step_shape(uint32_t rows) const;
  uint64_t run_bytes(const device::Sizing& sizing, uint32_t rows) const;

  // Behind the last block: a row for the class token, if there is one, and one for each of layout.order. `base`: what
  // is added to the patches, row for row; the class token's row is all of it. `seen` is called where Spec::seen says,
  // with the number of blocks passed.
  Result<Rows> run(Workbench& bench, const image::Picture& view, const Layout& layout, std::span<const float> base,
                   const std::function<Status(uint32_t passed, const Rows& x)>& seen = {}) const;

 private:
  struct Run;
  Status read_block(models::TensorReader& reader, uint32_t index);
  Result<BoundedLinear> bounded(models::TensorReader& reader, const std::string& name, uint32_t rows, uint32_t cols);
  Status embed(Workbench& bench, const image::Picture& view, const Layout& layout, const Rows& x) const;

  Spec spec_;
  models::Linear patches_, second_patches_;
  models::Norm first_norm_;
  std::vector<Block> blocks_;
  uint32_t feed_forward_ = 0;
};

}  // namespace hearth::vision
