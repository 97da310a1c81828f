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

// A view on its way through the tower. `base`: what is added to its patches, row for row; the class token's row is all
// of it.
struct View {
  const image::Picture& picture;
  Layout layout;
  std::vector<float> base;
};

class Tower {
 public:
  explicit Tower(Spec spec) : spec_(std::move(spec)) {}
  const Spec& spec() const { return spec_; }

  // Takes its tensors: the patches' matrices, the first norm, the blocks. Errors: those of the reader.
  Status read(models::TensorReader& reader);

  // What the device must be reserved for, and what a run takes of memory, of up to so many rows in all.
  device::StepShape step_shape(uint32_t rows) const;
  uint64_t run_bytes(const device::Sizing& sizing, uint32_t rows) const;
  // Of one view: one for the class token, if there is one, and one for each of layout.order.
  uint32_t rows_of(const Layout& layout) const {
    return static_cast<uint32_t>(layout.order.size()) + (spec_.class_token ? 1 : 0);
  }

  // Views at once: their rows, view after view, behind the last block. Rows of a view do not depend on what is beside
  // it. `seen` is called where Spec::seen says, with the number of blocks passed and the rows of all.
  Result<Rows> run(Workbench& bench, std::span<const View> views,
                   const std::function<Status(uint32_t passed, const Rows& x)>& seen = {}) const;

 private:
  struct Run;
  Status read_block(models::TensorReader& reader, uint32_t index);
  Result<BoundedLinear> bounded(models::TensorReader& reader, const std::string& name, uint32_t rows, uint32_t cols);
  Status embed(Workbench& bench, const View& view, const Rows& x) const;
  Result<Rows> first_rows(Workbench& bench, std::span<const View> views) const;
  size_t operand_row_bytes(const device::Sizing& sizing) const;
  // Rows [first, first + rows) of a block: their queries, keys and values, or what follows, or both.
  using Part = std::function<Status(uint32_t first, uint32_t rows, double operations, bool finds, bool attends)>;
  Status run_block(Workbench& bench, const Block& block, uint32_t rows, uint32_t context, const Part& part) const;

  Spec spec_;
  models::Linear patches_, second_patches_;
  models::Norm first_norm_;
  std::vector<Block> blocks_;
  uint32_t feed_forward_ = 0;
};

}  // namespace hearth::vision
