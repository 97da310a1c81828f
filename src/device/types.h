// What ops work on. Addresses are device addresses: on the CPU ordinary pointers, on a GPU not to be
// followed by the host. Row-major everywhere; a "row" of activations is one token of the batch.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "device/candidate.h"
#include "quant/format.h"

namespace hearth::device {

// Where a weight matrix may begin in a device's memory.
inline constexpr size_t kWeight_alignment = 256;
inline constexpr uint32_t kUpload_rows = 64;  // see Device::upload_matrix()

// A weight matrix: y = W x has `rows` outputs and `cols` inputs. Rows are contiguous, in `format`; a device may keep
// its copy in another order.
struct Matrix {
  const quant::Format* format = nullptr;
  const uint8_t* data = nullptr;
  uint32_t rows = 0, cols = 0;
  bool interleaved = false;  // on the CPU: cpu/interleave.h

  explicit operator bool() const { return data != nullptr; }
  size_t row_bytes() const { return format->bytes(cols); }
  size_t bytes() const { return rows * row_bytes(); }
};

// A float32 parameter vector (norm weights, biases); data is null where a model has none.
struct Vector {
  const float* data = nullptr;
  uint32_t size = 0;

  explicit operator bool() const { return data != nullptr; }
};

// In which forms an operand is written, as the device's matmuls want them: bits that only the device
// that gave them understands (float32, 8-bit blocks, ...).
using OperandForms = uint32_t;

// Activations ready to be multiplied: rows of `width` values in every form of `forms`. Written once by
// the op before, read by every matmul after. Size per row: Device::operand_bytes.
struct Operand {
  std::byte* data = nullptr;
  uint32_t width = 0;
  OperandForms forms = 0;
};

// Rotary position embedding, reduced to what every variant is: a table of inverse frequencies (linear
// scaling, frequency factors, YaRN and long-rope all end here) and a factor on the result.
struct Rope {
  enum class Pairs { kAdjacent, kHalves };  // (x0,x1),(x2,x3).. or (x0,x[n/2]),(x1,x[n/2+1])..
  Pairs pairs = Pairs::kAdjacent;
  uint32_t first = 0;                    // of the rotated values in each head
  uint32_t dims = 0;                     // how many rotate; even
  std::vector<float> inverse_frequency;  // dims / 2: angle of pair i = position * inverse_frequency[i]
  float magnitude = 1;                   // multiplies sine and cosine (YaRN's attention factor)
  uint32_t parts = 1;                    // of the rotated values; with kHalves each part has halves of its own
  std::vector<uint8_t> axis = {};        // which number of Batch::places turns pair i; empty: the first turns all
};

// Queries that grow with their position p, times 1 + factor ln(1 + floor((p + offset) / period)), so that attention
// over long contexts stays sharp (Llama 4 and Ministral 3; Nakanishi 2025, "Scalable-Softmax Is Superior for
// Attention").
struct QueryGrowth {
  float factor = 0;  // 0: none
  uint32_t period = 1, offset = 0;
};

enum class CacheType { kF32, kF16, kQ8_0 };

// Tokens in a page: a page holds the keys and values of one layer for this many adjacent positions.
inline constexpr uint32_t kPage_tokens = 32;

// The shape of one layer's cache: keys and values, or the state of a recurrent layer.
struct CacheShape {
  CacheType type = CacheType::kF16;
  uint32_t kv_heads = 0, key_dim = 0, value_dim = 0;  // per head
  uint32_t state = 0;                                 // float32 numbers of a state, and no keys and values; 0: none
  bool values_in_keys = false;  // a value is the first numbers of its key: it need not be stored (latent attention)
};

// One layer's cache: page p lies at data + p * page_bytes. The layout inside is the device's own.
//
// A state is as large as many keys, so that a group of adjacent pages, of which a sequence has all or none, shares one:
// that of pages [g * group, (g + 1) * group) lies at data + g * page_bytes. It is the state behind the last position
// computed in these pages: of a group that is full, a snapshot, which sequences with the same beginning read.
struct CacheLayer {
  CacheShape shape;
  std::byte* data = nullptr;
  size_t page_bytes = 0;
  uint32_t group = 1;  // 1 for keys and values
};

// A page in the form that all devices share: for every kv head the keys of the 32 positions, one row
// each, then for every kv head the values, unless these are in the keys. A row is stored as quant's F32, F16 or Q8_0,
// as the cache type says. A state is its numbers.
size_t neutral_row_bytes(CacheType type, uint32_t dims);
size_t neutral_page_bytes(const CacheShape& shape);

// One sequence's part of a batch: adjacent rows, in order of position.
struct BatchSequence {
  uint32_t first_row = 0, rows = 0;
  uint32_t first_position = 0;     // of first_row; the rows are first_position, +1, +2, ...
  std::span<const int32_t> pages;  // page of positions 0..31, 32..63, ...; covers the last row's
};

// Of a cache of states on the host: that behind this position of a sequence.
float* state_of(const CacheLayer& cache, const BatchSequence& sequence, uint32_t position);
// Whether the state behind this row of the sequence's is kept: its last, and the last of each group of pages.
bool ends_state(const CacheLayer& cache, const BatchSequence& sequence, uint32_t row);

// Adjacent rows of a batch that begin as values in place of a token's embedding: parts of an image, say.
struct EmbeddedRows {
  uint32_t first_row = 0, rows = 0;
  const float* values = nullptr;  // (1 + deep) times the model's width each
  uint32_t deep = 0;              // so many of them are added to the row behind the first layers, one behind each
};

// Adjacent rows of one sequence that see it as far as before position `end`, not only to their own.
struct AheadRows {
  uint32_t first_row = 0, rows = 0, end = 0;
};

// Where a row stands in time, and in a picture by row and column.
inline constexpr uint32_t kPlaces = 3;
using Place = std::array<uint32_t, kPlaces>;

// Adjacent rows of a batch that go through an adapter (LoRA) beside the weights.
struct AdapterRows {
  uint32_t first_row = 0, rows = 0;
  uint32_t adapter = 0;
};

// The ragged batch of one step. Host memory, alive until the step ends.
struct Batch {
  std::span<const int32_t> tokens;          // one per row; of rows that are embedded, any
  std::vector<EmbeddedRows> embedded = {};  // ascending
  std::vector<AheadRows> ahead = {};        // ascending
  std::vector<Place> places = {};           // what ropes turn by, one per row; empty: a row's position is all three
  std::vector<AdapterRows> adapters = {};   // ascending, one range for each adapter; the other rows have none
  std::vector<BatchSequence> sequences;
  std::vector<uint32_t> logit_rows;  // rows whose logits are wanted, ascending

  uint32_t rows() const { return static_cast<uint32_t>(tokens.size()); }
};

// What is wanted of the logits of a step, and what came back. Every row of batch.logit_rows gives its best
// candidates, if any are wanted; the whole logits come from rows that are named.
struct Readout {
  // Of every row the so many largest logits: 0, or up to Sizing::most_candidates() and the vocabulary.
  uint32_t candidates = 0;
  std::vector<uint32_t> full_rows;  // places in batch.logit_rows, ascending

  // Room for full_rows.size() rows of the whole vocabulary.
  std::span<float> logits;
  // [batch.logit_rows][candidates + 1]; see CandidatesArgs::best.
  std::vector<Candidate> best;

  // What the output matrix reads, after the last norm: of these rows of the batch, ascending, and room for so many rows
  // of the model's width.
  std::vector<uint32_t> hidden_rows;
  std::vector<float> hidden;
};

// kNone: values as they are. kLike: times what gives them the root mean square of another row. kAboveMean: less the
// mean and some standard deviations (of a sample), and at least 0.
enum class NormKind { kRms, kLayer, kNone, kLike, kAboveMean };

// kSilu: x / (1 + e^-x). kGeluTanh: h / 2 * (1 + tanh(sqrt(2 / pi) * (h + 0.044715 h^3))) with h = x
// rounded to half, and the result rounded to half; x itself from 10 on. The rounding is part of it: ggml
// looks GELU up in a table of halves, and models are judged by ggml's logits (without the rounding
// they differ by 2e-4, with it by 5e-5). kRelu: max(x, 0); kReluSquared: its square. kClampedSwish, only with a second
// factor: gate at most 7, up within 7, gate * sigmoid(1.702 gate) * (up + 1) (gpt-oss; OpenAI 2025).
// kSigmoid: 1 / (1 + e^-x). kQuickGelu: x / (1 + e^-1.702x).
enum class Activation { kSilu, kGeluTanh, kRelu, kReluSquared, kClampedSwish, kSigmoid, kQuickGelu };

// What the output of a router is made of: shares of all experts that sum to one, or each its own.
enum class Gating { kSoftmax, kSigmoid };

}  // namespace hearth::device
