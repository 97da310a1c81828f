// What the kernels take. Pointers are device addresses. Rows, widths and strides count float32 values unless
// they say bytes.
#pragma once

#include <cstdint>

#include "cuda/kernels/cache_page.h"
#include "cuda/kernels/operand_args.h"
#include "cuda/kernels/step.h"
#include "device/candidate.h"

#ifndef __CUDACC__
#pragma GCC diagnostic push
#pragma GCC diagnostic error "-Wpadded"
#endif

namespace hearth::cuda {

// norm.cu. One block of kNormThreads per row of the result.
inline constexpr uint32_t kNormThreads = 256;
enum class NormWay : uint32_t { kRms, kLayer, kNone, kLike, kAboveMean };  // as device::NormKind
struct NormKernelArgs {
  const float* in;
  const float* weight;   // null: 1
  const float* bias;     // null: none
  const uint32_t* rows;  // row i reads row rows[i] of `in`; null: row i
  const float* like;     // of kLike
  float* out;            // null: none
  OperandRows operand;   // data null: none
  uint32_t width;
  float epsilon;
  NormWay way;
  uint32_t add;                                           // out += instead of out =
  uint32_t pieces, in_row, in_piece, out_row, out_piece;  // see device::Pieces
  uint32_t own_weights;
  float factor, deviations;
};

// mix.cu; see device::MixArgs. One thread a value.
inline constexpr uint32_t kMixThreads = 256, kMostMixed = 8;
struct MixKernelArgs {
  const float* in;
  float* out;
  const float* coefficients;
  uint64_t in_array, out_array;
  uint32_t ins, outs, width;
  float offset;
};

// activate.cu. One warp per 32 values; blocks of kActivateThreads.
inline constexpr uint32_t kActivateThreads = 256;
enum class ActivationWay : uint32_t {
  kSilu,
  kGeluTanh,
  kRelu,
  kReluSquared,
  kClampedSwish,
  kSigmoid,
  kQuickGelu
};  // as device::Activation
struct ActivateKernelArgs {
  const float* gate;
  const float* up;        // null: none
  const float* row_gate;  // null: none; else the row is multiplied by its sigmoid
  // Of experts, whose rows are slots; null: none.
  const uint32_t* expert;   // of a slot
  const float* gate_bias;   // [expert][width]
  const float* up_bias;     // likewise
  const float* row_weight;  // on both before the activation
  float* values;            // [row][width], in place of:
  OperandRows out;
  uint32_t stride, up_stride, width, rows;
  ActivationWay way;
  uint32_t unused;
};

struct SoftCapKernelArgs {
  float* values;
  uint64_t count;
  float cap;          // of soft_cap
  float least, most;  // of clamp
  uint32_t unused;
};

// embed.cu, one kernel per weight format, one block of kEmbedThreads per row and part of the row.
inline constexpr uint32_t kEmbedThreads = 128, kEmbedValues = 1024;
struct EmbedKernelArgs {
  const uint8_t* table;
  const uint32_t* rows;  // of the table, per row of the result (tokens or positions)
  float* out;
  uint64_t row_bytes;
  uint32_t width;
  float scale;
  uint32_t add;  // out += instead of out =
  uint32_t unused;
};

// rotate.cu. One warp per row and head: queries, then keys, then values.
inline constexpr uint32_t kRotateWarps = 4;
inline constexpr uint32_t kPlaceNumbers = 3;  // device::kPlaces
struct RotateKernelArgs {
  float* q;
  const float* k;
  const float* v;                  // null: no values are stored
  const float* inverse_frequency;  // null: no rotation; behind them the pairs' axes, if `with_axes`
  const float* q_norm;             // null: none
  const float* k_norm;
  uint8_t* cache;
  uint64_t page_bytes;
  StepTables step;
  uint32_t q_stride, k_stride, v_stride;
  uint32_t heads, kv_heads, key_dim, value_dim;
  uint32_t rope_first, rope_dims;
  uint32_t adjacent;  // pairs
  float magnitude, epsilon;
  PageType type;
  uint32_t norm_last;
  float growth;  // see device::QueryGrowth
  uint32_t growth_period, growth_offset;
  uint32_t plain_norms;
  uint32_t with_axes, rope_parts;
};

// Attention. Rows [first_row, first_row + rows) of the batch, which are all of one kind: alone in their sequence's part
// of the batch (single), not alone (chunks; the single ones between them are left out), or any (all). See splits.h.
enum class AttentionRows : uint32_t { kAll, kSingle, kChunks };
inline constexpr uint32_t kAttentionWarps = 4;
struct AttentionKernelArgs {
  const float* q;
  float* partial;  // [row][head][split][value_dim], then [row][head][split]: highest score, sum of weights
  const uint8_t* cache;
  uint64_t page_bytes;
  StepTables step;
  uint32_t q_stride, heads, kv_heads, key_dim, value_dim;
  uint32_t first_row, rows;
  uint32_t splits;              // room for this many; rows have as many as page_range() says, those of chunks one
  uint32_t window, chunk_mask;  // see page_range()
  AttentionRows which;
  float scale, soft_cap;
  uint32_t values_in_keys;  // see device::CacheShape; only of attention.cu
  uint32_t ahead, unused;   // rows see to StepTables::ends, not only to themselves; only of attention.cu
};

// attention.cu: kAll. Grid: splits, kv_heads * chunks of the group of query heads, rows.

// attention_tensor.cuh. attend_chunk: grid tiles of tokens of sequences with more than one row, kv_heads.
// attend_single: grid splits, kv_heads * parts of kSingleHeads query heads, rows, each alone in its sequence's part of
// the batch; split_pages() warps.
inline constexpr uint32_t kChunkTileRows = 64;  // query rows of a block: tokens times heads of a group
inline constexpr uint32_t kSingleHeads = 16;
struct ChunkKernelArgs {
  AttentionKernelArgs attention;  // rows outside [first_row, first_row + rows) are not written; splits is 1
  uint32_t tile_tokens;           // kChunkTileRows / group
  uint32_t first_tile;            // of the batch's, which are numbered through
};

inline constexpr uint32_t kMergeThreads = 128;
struct AttentionMergeArgs {
  const float* partial;
  float* values;  // [row][heads * value_dim], in place of:
  OperandRows out;
  StepTables step;
  const float* sinks;  // per head; null: none
  uint32_t heads, value_dim, first_row, rows, splits, split_pages, window, chunk_mask;
  AttentionRows which;
  uint32_t ahead;
};

// recurrent.cu. See device::CacheLayer.
struct StateArgs {
  float* data;
  uint64_t size;  // of one, in numbers
  uint32_t pages, unused;
};

// convolve: grid channels, sequences.
inline constexpr uint32_t kConvolveThreads = 128, kMostTaps = 8;
struct ConvolveKernelArgs {
  const float* in;
  const float* in_factor;   // null: 1
  const float* out_factor;  // likewise
  const float* weight;      // [channel][tap]
  const float* bias;        // null: none
  float* out;
  StateArgs state;
  StepTables step;
  uint32_t in_stride, out_stride, channels, taps, silu, unused;
};

// scan: grid values of a head, heads, sequences; a warp for each value.
inline constexpr uint32_t kScanWarps = 4, kScanKeys = 8;  // kScanKeys: of a lane
struct ScanKernelArgs {
  const float* q;
  const float* k;
  const float* v;
  const float* step;
  const float* beta;  // null: none
  const float* step_bias;
  const float* decay;
  const float* skip;  // null: none
  const float* gate;  // likewise
  float* out;
  StateArgs state;
  StepTables step_tables;
  uint64_t state_at;
  uint32_t stride, heads, groups, key_dim, value_dim, interleaved, step_stride, group_stride, gate_stride, out_stride;
  float q_scale, k_scale;
};

// experts.cu
inline constexpr uint32_t kRouteThreads = 128;
struct RouteKernelArgs {
  const float* logits;        // [rows][experts]
  const float* bias;          // of the router, per expert; null: none
  const float* choice_bias;   // likewise, see device::ExpertsArgs
  const float* result_scale;  // likewise
  uint32_t* expert;           // per slot = row * used + i
  float* weight;              // per slot
  uint32_t rows, experts, used;
  uint32_t sigmoid;  // else softmax
  uint32_t groups, groups_used;
  uint32_t normalise;
  float scale;
};

inline constexpr uint32_t kGroupThreads = 1024;
struct GroupKernelArgs {
  const uint32_t* expert;  // per slot
  uint32_t* offsets;       // experts + 1
  uint32_t* slots;         // grouped by expert, ascending
  uint32_t slot_count, experts;
};

// head_slots: lists as group_slots makes them, if slot i is a use of expert i % heads.
struct HeadSlotsKernelArgs {
  uint32_t* offsets;  // heads + 1
  uint32_t* slots;    // [head][row]
  uint32_t rows, heads;
};

inline constexpr uint32_t kCombineThreads = 256;
struct CombineKernelArgs {
  const float* values;     // [slot][width]
  const float* weight;     // per slot; null: 1
  const float* bias;       // [expert][width]; null: none
  const uint32_t* expert;  // of a slot
  float* out;              // [row][width]
  uint32_t rows, width, used;
  uint32_t add;  // out += instead of out =
};

// candidates.cu. best_of_chunk: grid chunks of a row, rows. The first level reads values, the others keys; the last
// writes `best`.
inline constexpr uint32_t kBestThreads = 512, kBestChunk = 4096;
struct BestKernelArgs {
  const float* values;      // [rows][width], or null:
  const uint64_t* keys;     // likewise
  uint64_t* keys_out;       // [rows][chunks][count]
  device::Candidate* best;  // [rows][count + 1] if there is one chunk: the last level; else null
  uint32_t width, count;
  uint32_t run, unused;  // count, or the next power of two
};

// total_of_row: one block for each row; best[row][count] = {width, sum of exp(value - best[row][0].value)}.
inline constexpr uint32_t kTotalThreads = 512;
struct TotalKernelArgs {
  const float* values;  // [rows][width]
  device::Candidate* best;
  uint32_t width, count;
};

// limits.cu: what the hardware gives at best.
inline constexpr uint32_t kLimitThreads = 256;
struct ReadLimitArgs {
  const uint8_t* data;
  uint32_t* sink;  // one word per block
  uint64_t units;  // of 16 bytes
};
struct ArithmeticLimitArgs {
  uint32_t* sink;  // one word per block
  uint32_t rounds;
  uint32_t zero;  // so that the compiler cannot know it
};
// Per thread and round of multiply_floats: independent sums, each one multiplication and addition.
inline constexpr uint32_t kFloatChains = 16;
// Per warp and round of multiply_bytes: this many 16x8x32 products of bytes.
inline constexpr uint32_t kByteChains = 8;

}  // namespace hearth::cuda

#ifndef __CUDACC__
#pragma GCC diagnostic pop
#endif
