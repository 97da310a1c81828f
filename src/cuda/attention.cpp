// Attention and the cache's pages on the CUDA device.
#include <algorithm>
#include <bit>
#include <cstring>

#include "base/checked.h"
#include "base/error.h"
#include "cuda/attend_variant.h"
#include "cuda/attention_rows.h"
#include "cuda/device_impl.h"
#include "cuda/kernels/splits.h"
#include "cuda/scratch.h"

namespace hearth::cuda {
namespace {

static_assert(kPagePositions == device::kPage_tokens);
static_assert(static_cast<uint32_t>(device::CacheType::kQ8_0) == static_cast<uint32_t>(PageType::kQ8_0));

PageType page_type(const device::CacheShape& shape) {
  return static_cast<PageType>(shape.type);
}

// The most splits of any row that is alone in its sequence's part of the batch, or of any row at all. A power of two:
// then the launches, and with them the CUDA graph, stay the same while sequences grow.
uint32_t most_splits(const device::Batch& batch, uint32_t window, uint32_t pages, AttentionRows which) {
  uint32_t most = 1;
  for (const device::BatchSequence& sequence : batch.sequences) {
    if (sequence.rows > 1 && which == AttentionRows::kSingle) continue;
    uint32_t last = sequence.first_position + sequence.rows - 1;
    for (const device::AheadRows& ahead : batch.ahead)
      if (ahead.first_row >= sequence.first_row && ahead.first_row < sequence.first_row + sequence.rows)
        last = std::max(last, ahead.end - 1);
    // What a window covers may begin anywhere in a split.
    const uint32_t ahead = last - sequence.first_position;  // of rows that see further than to themselves
    const uint32_t reach = batch.ahead.empty() ? window : window + ahead;
    const uint32_t whole = page_range(last, 0, 0).splits(pages), windowed = reach / kPagePositions / pages + 2;
    most = std::max(most, window == 0 ? whole : std::min(whole, windowed));
  }
  return std::bit_ceil(most);
}

size_t tensor_index(const device::CacheShape& shape, uint32_t group) {
  return static_cast<size_t>(std::ranges::find(kTensorSizes, tensor_size(shape, group)) - kTensorSizes.begin());
}

// visit(bytes of a row in the page, of its scales in the page (or null), in the neutral form, dimensions).
template <class Byte, class NeutralByte, class Visit>
void visit_rows(const device::CacheShape& shape, Byte* page, NeutralByte* neutral, const Visit& visit) {
  const PageType type = page_type(shape);
  for (const uint32_t dims : {shape.key_dim, shape.values_in_keys ? 0 : shape.value_dim}) {
    const uint32_t row_bytes = page_row_bytes(type, dims), scale_bytes = page_scale_bytes(type, dims);
    for (uint32_t head = 0; head < shape.kv_heads; ++head, page += page_head_bytes(type, dims))
      for (uint32_t slot = 0; slot < kPagePositions; ++slot, neutral += device::neutral_row_bytes(shape.type, dims))
        visit(page + slot * row_bytes, page + kPagePositions * row_bytes + slot * scale_bytes, neutral, dims);
  }
}

constexpr uint32_t kNeutralBlock_bytes = 2 + kScaleGroup;  // a half scale, then the bytes

}  // namespace

void CudaDevice::page_to_neutral(const device::CacheShape& shape, const std::byte* page, std::byte* neutral) const {
  if (shape.state != 0) std::memcpy(neutral, page, shape.state * sizeof(float));
  visit_rows(shape, page, neutral, [&](const std::byte* row, const std::byte* scales, std::byte* to, uint32_t dims) {
    if (shape.type != device::CacheType::kQ8_0) {
      std::memcpy(to, row, device::neutral_row_bytes(shape.type, dims));
      return;
    }
    for (uint32_t b = 0; b < dims / kScaleGroup; ++b, to += kNeutralBlock_bytes) {
      std::memcpy(to, scales + 2 * b, 2);
      std::memcpy(to + 2, row + b * kScaleGroup, kScaleGroup);
    }
  });
}

void CudaDevice::page_from_neutral(const device::CacheShape& shape, const std::byte* neutral, std::byte* page) const {
  std::memset(page, 0, page_bytes(shape));  // the padding of rows is zero
  if (shape.state != 0) std::memcpy(page, neutral, shape.state * sizeof(float));
  visit_rows(shape, page, neutral, [&](std::byte* row, std::byte* scales, const std::byte* from, uint32_t dims) {
    if (shape.type != device::CacheType::kQ8_0) {
      std::memcpy(row, from, device::neutral_row_bytes(shape.type, dims));
      return;
    }
    for (uint32_t b = 0; b < dims / kScaleGroup; ++b, from += kNeutralBlock_bytes) {
      std::memcpy(scales + 2 * b, from, 2);
      std::memcpy(row + b * kScaleGroup, from + 2, kScaleGroup);
    }
  });
}

Status CudaDevice::prepare_attention(const device::CacheShape& shape, uint32_t group, uint32_t size) {
  const auto find = [&](CUfunction& function, const std::string& source, const std::string& name) -> Status {
    if (function != nullptr) return {};
    return in_context([&]() -> Status {
      ASSIGN_OR_RETURN(function, modules_.find(source, name));
      return {};
    });
  };
  if (size == 0) {
    const AttendVariant variant = attend_variant(shape, group);
    return find(functions_.attend[variant.key()], "attention", variant.name());
  }
  const size_t type = static_cast<size_t>(shape.type), index = tensor_index(shape, group);
  const std::string which = fmt::format("{}_{}", shape.type == device::CacheType::kF16 ? "f16" : "q8_0", size);
  TRY(find(functions_.chunk[type][index], "attention_" + which, "attend_chunk_" + which));
  return find(functions_.single[type][index], "attention_" + which, "attend_single_" + which);
}

void CudaDevice::attention(const device::AttentionArgs& args) {
  if (rows() == 0) return;
  CHECK(!args.chunked || std::has_single_bit(args.window));
  const uint32_t group = args.heads / args.cache.shape.kv_heads;
  const uint32_t size = tensor_size(args.cache.shape, group);
  if (Status ready = prepare_attention(args.cache.shape, group, size); !ready) return fail(std::move(ready));
  if (size == 0) return attend(args, AttentionRows::kAll, {0, rows()});
  for (const RowRange& range : single_rows(*batch_)) attend(args, AttentionRows::kSingle, range);
  if (const RowRange range = chunk_rows(*batch_); range.rows > 0) attend(args, AttentionRows::kChunks, range);
  if (!args.ahead || batch_->ahead.empty()) return;
  // Those kernels look at nothing behind a row: the rows that see further are done again.
  if (Status ready = prepare_attention(args.cache.shape, group, 0); !ready) return fail(std::move(ready));
  for (const device::AheadRows& ahead : batch_->ahead) attend(args, AttentionRows::kAll, {ahead.first_row, ahead.rows});
}

void CudaDevice::attend(const device::AttentionArgs& args, AttentionRows which, RowRange range) {
  const device::CacheShape& shape = args.cache.shape;
  const uint32_t pages = split_pages(shape.key_dim, shape.value_dim);
  AttentionKernelArgs kernel{};
  kernel.q = args.q;
  kernel.partial = reinterpret_cast<float*>(scratch_.address());
  kernel.cache = reinterpret_cast<const uint8_t*>(args.cache.data);
  kernel.page_bytes = args.cache.page_bytes;
  kernel.step = tables_.tables();
  kernel.q_stride = args.q_stride;
  kernel.heads = args.heads;
  kernel.kv_heads = shape.kv_heads;
  kernel.key_dim = shape.key_dim;
  kernel.value_dim = shape.value_dim;
  kernel.splits = which == AttentionRows::kChunks ? 1 : most_splits(*batch_, args.window, pages, which);
  kernel.window = args.chunked ? 0 : args.window;
  kernel.chunk_mask = args.chunked ? ~(args.window - 1) : 0;
  kernel.values_in_keys = shape.values_in_keys;
  kernel.which = which;
  kernel.ahead = args.ahead && which == AttentionRows::kAll;
  kernel.scale = args.scale;
  kernel.soft_cap = args.soft_cap;
  AttentionMergeArgs merge{};
  merge.partial = kernel.partial;
  merge.values = args.values;
  if (args.values == nullptr) merge.out = operand_rows(args.out);
  merge.sinks = args.sinks.data;
  merge.step = kernel.step;
  merge.heads = args.heads;
  merge.value_dim = shape.value_dim;
  merge.splits = kernel.splits;
  merge.split_pages = pages;
  merge.window = kernel.window;
  merge.chunk_mask = kernel.chunk_mask;
  merge.which = which;
  merge.ahead = kernel.ahead;

  const uint32_t width = args.heads * shape.value_dim;
  const uint64_t step = scratch_.backed_bytes() / partial_bytes(args.heads, shape.value_dim, kernel.splits);
  CHECK(step > 0);  // reserve() has seen to it
  const uint32_t end = range.first + range.rows;
  for (uint32_t first = range.first; first < end; first += kernel.rows) {
    kernel.first_row = merge.first_row = first;
    kernel.rows = merge.rows = static_cast<uint32_t>(std::min<uint64_t>(step, end - first));
    switch (which) {
      case AttentionRows::kAll:
        launch_all(kernel, shape);
        break;
      case AttentionRows::kSingle:
        launch_single(kernel, shape);
        break;
      case AttentionRows::kChunks:
        launch_chunks(kernel, shape);
        break;
    }
    list_.add(functions_.merge, {static_cast<uint32_t>(divide_up(width, kMergeThreads)), kernel.rows}, {kMergeThreads},
              0, merge);
  }
}

void CudaDevice::launch_all(const AttentionKernelArgs& kernel, const device::CacheShape& shape) {
  const uint32_t group = kernel.heads / shape.kv_heads;
  const AttendVariant variant = attend_variant(shape, group);
  const uint32_t padded = page_row_bytes(page_type(shape), shape.key_dim) / element_bytes(page_type(shape));
  const uint32_t chunks = static_cast<uint32_t>(divide_up(group, variant.heads));
  list_.add(functions_.attend.at(variant.key()), {kernel.splits, shape.kv_heads * chunks, kernel.rows},
            {kAttentionWarps * 32}, variant.heads * padded * static_cast<uint32_t>(sizeof(float)), kernel);
}

void CudaDevice::launch_single(const AttentionKernelArgs& kernel, const device::CacheShape& shape) {
  const uint32_t group = kernel.heads / shape.kv_heads, parts = static_cast<uint32_t>(divide_up(group, kSingleHeads));
  const CUfunction function = functions_.single[static_cast<size_t>(shape.type)][tensor_index(shape, group)];
  list_.add(function, {kernel.splits, shape.kv_heads * parts, kernel.rows},
            {split_pages(shape.key_dim, shape.value_dim) * 32}, 0, kernel);
}

void CudaDevice::launch_chunks(const AttentionKernelArgs& kernel, const device::CacheShape& shape) {
  const uint32_t group = kernel.heads / shape.kv_heads, tile_tokens = kChunkTileRows / group;
  const ChunkTiles tiles = chunk_tiles(*batch_, {kernel.first_row, kernel.rows}, tile_tokens);
  const CUfunction function = functions_.chunk[static_cast<size_t>(shape.type)][tensor_index(shape, group)];
  list_.add(function, {tiles.count, shape.kv_heads}, {kAttentionWarps * 32}, 0,
            ChunkKernelArgs{kernel, tile_tokens, tiles.first});
}

}  // namespace hearth::cuda
