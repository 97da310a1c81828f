// What every device implements: memory and about a dozen coarse ops. An op works on a whole ragged
// batch; one virtual call per op and step. Ops are queued in order; results are on the host only after
// finish(). Ops cannot fail one by one: what goes wrong shows in finish(). After ErrorKind::kDeviceLost
// every call that can fail fails so, the others do nothing, and the object must be replaced.
//
// What is not finite comes out not finite, of every op: broken numbers must reach the logits, where they are seen. Rows
// of other sequences are not harmed.
//
// Rows of the batch that is being worked on are set by begin(). Unless said otherwise an array of
// activations has batch.rows() rows, float32, `width` values each, rows adjacent.
#pragma once

#include <memory>
#include <string>

#include "base/check.h"
#include "base/result.h"
#include "device/types.h"

namespace hearth::device {

struct Facts {
  std::string name;           // "CPU (AVX-512, 2 threads)", "GPU 0 (NVIDIA H200)"
  uint64_t memory_bytes = 0;  // total that may be used
  // alloc() takes memory in multiples of this.
  uint64_t granularity_bytes = 1;
  // Reads of its memory as the hardware is rated; 0: unknown.
  uint64_t bandwidth_bytes_per_s = 0;
  int ordinal = -1;     // the driver's number of a GPU in this process
  std::string id = {};  // "cpu", "GPU-8e3d...": the same as long as the hardware is, whatever else is there
};

// What the hardware gives at best, measured now: the limits that speeds are compared with.
struct Limits {
  double read_bytes_per_s = 0;  // sequential reads of far more than the caches hold
  double float_ops_per_s = 0;   // float32 multiply and add, each counted, in registers
  double int8_ops_per_s = 0;    // the same for 8-bit products summed in 32 bits
};

// The largest step that a model will run, for devices whose ops need memory of their own.
struct StepShape {
  uint32_t rows = 0, logit_rows = 0;
  uint32_t sequences = 0, context = 0;  // sequences in a step; tokens of one sequence
  uint32_t width = 0, vocabulary = 0;
  uint32_t heads = 0;
  CacheShape cache;
  uint32_t head_projections = 0;  // heads of project_heads(); 0: it is not used
  uint32_t experts = 0, experts_used = 0, expert_feed_forward = 0;
};

class Device;

// Device memory; freed with the object.
class Buffer {
 public:
  Buffer() = default;
  Buffer(Device* device, std::byte* data, size_t bytes) : device_(device), data_(data), bytes_(bytes) {}
  Buffer(Buffer&& other) noexcept { *this = std::move(other); }
  Buffer& operator=(Buffer&& other) noexcept;
  ~Buffer();

  std::byte* data() const { return data_; }
  size_t bytes() const { return bytes_; }

 private:
  Device* device_ = nullptr;
  std::byte* data_ = nullptr;
  size_t bytes_ = 0;
};

// x -> rows of the embedding table, times `scale`; plus row `position` of `positions` if there is one. Without a table
// the positions are added to what is there.
struct EmbedArgs {
  Matrix table;
  float scale = 1;
  Matrix positions;
  float* out = nullptr;  // width: the tables' columns
};

// Where the parts of a row lie (heads): as values from one row to the next and from one part to the next.
struct Pieces {
  uint32_t count = 1;
  uint32_t in_row = 0, in_piece = 0;
  uint32_t out_row = 0, out_piece = 0;
  bool own_weights = false;  // weights for each part, one after the other; else the same for all
};

// out = (norm(in) * weight + bias) * factor. Written to the operand, to `out` (which may be `in`), or added to `out`,
// as given.
struct NormArgs {
  NormKind kind = NormKind::kRms;
  float epsilon = 0;
  Vector weight, bias;  // without data the weight is 1 everywhere; kNone has no bias
  float factor = 1;
  const float* like = nullptr;  // of kLike: rows of weight.size values, adjacent; all parts of a row are made like it
  float deviations = 0;         // of kAboveMean
  const float* in = nullptr;    // width weight.size
  bool logit_rows = false;      // only batch.logit_rows of `in`, compacted: row i of the result is logit_rows[i]
  bool compacted = false;       // `in` has as many rows as there are logit rows
  Operand operand;              // ignored if data is null
  float* out = nullptr;         // ignored if null
  bool add = false;             // out += instead of out =
  // Every row has so many parts of weight.size values, each normalised for itself; row i * count + p of the operand is
  // part p of row i. Not with logit rows. Without it rows are one part each, and adjacent.
  const Pieces* pieces = nullptr;

  Pieces layout() const { return pieces != nullptr ? *pieces : Pieces{1, weight.size, 0, weight.size, 0}; }
};

// out = weight * in + bias, or out += ...
struct Projection {
  Matrix weight;
  Vector bias;
  float* out = nullptr;
  uint32_t stride = 0;  // values between rows of out; at least weight.rows
  bool add = false;
  // The weight is always multiplied with many rows, as those of encoders are: a device may then sum in another order
  // than for few, whatever their number is this time.
  bool bulk = false;
};

// A matrix of its own for every head: out[row][head] = weight[head] * in[row][head].
struct HeadProjection {
  Matrix weight;  // rows: heads * rows of one head, head by head
  uint32_t heads = 0;
  Operand in;            // row i * heads + h: head h of row i; width weight.cols
  float* out = nullptr;  // [row][head]
  uint32_t stride = 0;   // values between heads; at least the rows of one
};

// Arrays of adjacent rows, `width` values each: out_k += sum over j of (offset + coefficients[row][k * ins + j]) *
// in_j. All is read before anything of a row is written: the outs may be the ins.
struct MixArgs {
  const float* in = nullptr;
  float* out = nullptr;
  uint32_t ins = 1, outs = 1;           // at most kMost_mixed
  size_t in_array = 0, out_array = 0;   // values from one array to the next
  const float* coefficients = nullptr;  // rows of ins * outs values, adjacent
  float offset = 0;
  uint32_t width = 0;
};
inline constexpr uint32_t kMost_mixed = 8;

// Normalises (optional) and rotates queries in place and keys on their way into the cache; appends
// keys and values at their positions.
struct RotateAppendArgs {
  float* q = nullptr;        // [heads][key_dim] per row
  const float* k = nullptr;  // [kv_heads][key_dim]; null: the cache has keys and values of these rows already
  const float* v = nullptr;  // [kv_heads][value_dim]; also if values are in the keys, which they are as they come
  uint32_t q_stride = 0, k_stride = 0, v_stride = 0;
  uint32_t heads = 0;
  const Rope* rope = nullptr;  // null: no rotation
  Vector q_norm, k_norm;       // RMS norm per head (size key_dim); absent: none
  bool plain_norms = false;    // or both without weights
  bool norm_last = false;      // after the rotation
  QueryGrowth growth = {};     // after both
  float epsilon = 0;
  CacheLayer cache;
};

// softmax(cap(scale q K^T)) V over the sequence's cached positions <= the row's own (and, with a
// window, > position - window, or in the position's own chunk of that size). Rows of Batch::ahead see further. Grouped
// heads: query head h reads kv head h * kv_heads / heads.
struct AttentionArgs {
  const float* q = nullptr;
  uint32_t q_stride = 0;
  uint32_t heads = 0;
  CacheLayer cache;
  float scale = 1;
  uint32_t window = 0;      // 0: none
  bool chunked = false;     // the window, a power of two, does not move: it begins at the last multiple of itself
  bool ahead = true;        // false: no row sees further than to itself
  float soft_cap = 0;       // 0: none; else s -> cap * tanh(s / cap)
  Vector sinks = {};        // per head one more score, whose value is nothing (Xiao et al. 2023); absent: none
  Operand out;              // width heads * value_dim
  float* values = nullptr;  // the result is written here instead: [row][heads * value_dim]
};

// out = activation(gate) * up, or activation(gate) if `up` is null; times sigmoid(row_gate) of the row if there is one.
struct ActivateArgs {
  Activation kind = Activation::kSilu;
  const float* gate = nullptr;
  const float* up = nullptr;
  uint32_t stride = 0;              // of both
  uint32_t up_stride = 0;           // of `up`, if it has another
  const float* row_gate = nullptr;  // one number a row
  Operand out;
  float* values = nullptr;  // the result is written here instead, rows of out.width values adjacent
};

// A causal convolution of every channel for itself: out = out_factor * act(sum over taps of weight * (in_factor * in of
// the rows before, and of the row itself) + bias). The last inputs of a sequence are at the start of its state.
struct ConvolveArgs {
  const float* in = nullptr;
  const float *in_factor = nullptr, *out_factor = nullptr;  // null: 1
  uint32_t in_stride = 0;                                   // values between rows of the three
  uint32_t channels = 0, taps = 0;                          // taps: at most kMost_taps
  Vector weight;                                            // [channel][tap], the last one of the row itself
  Vector bias;
  bool silu = false;
  float* out = nullptr;
  uint32_t out_stride = 0;
  CacheLayer state;  // (taps - 1) * channels numbers of it
};
inline constexpr uint32_t kMost_taps = 8;

// The recurrence of state-space models (Dao and Gu 2024, "Transformers are SSMs") and of gated delta nets (Yang et al.
// 2024, "Gated Delta Networks"). Every head has a matrix S as state; row after row, with
// t = softplus(step + step_bias) and d = exp(t * decay):
//
//   S = d S + k (t v)^T                                  without beta,
//   S = d S + k (sigmoid(beta) (v - (d S)^T k))^T        with it,
//   out = (S^T q + skip v) * silu(gate)
struct ScanArgs {
  const float *q = nullptr, *k = nullptr, *v = nullptr;        // [groups][key_dim], likewise, [heads][value_dim]
  uint32_t stride = 0;                                         // values between rows of the three
  uint32_t heads = 0, groups = 0, key_dim = 0, value_dim = 0;  // key_dim: at most kMost_scan_keys
  bool interleaved = false;                      // head h reads keys h mod groups, not h / (heads / groups)
  const float *step = nullptr, *beta = nullptr;  // a number for each head
  uint32_t step_stride = 0;                      // values between rows of both
  uint32_t group_stride = 0;      // from the numbers of heads / groups adjacent heads to those of the next
  Vector step_bias, decay, skip;  // per head
  float q_scale = 1, k_scale = 1;
  const float* gate = nullptr;  // [heads][value_dim]
  uint32_t gate_stride = 0;
  float* out = nullptr;  // [heads][value_dim]
  uint32_t out_stride = 0;
  CacheLayer state;       // [heads][value_dim][key_dim] of it
  uint32_t state_at = 0;  // from this number on
};
inline constexpr uint32_t kMost_scan_keys = 256;

// Mixture of experts, whole: router, shares, the `used` best (ties: the lower index), weights normalised to sum 1 if
// asked, and out += sum of weight * down(act(gate x) * up x).
struct ExpertsArgs {
  Matrix router;  // rows: experts
  Vector router_bias;
  const float* logits =
      nullptr;  // [rows][experts]: what the router gave, where it reads something else; then no router
  Gating gating = Gating::kSoftmax;
  Vector choice_bias;  // added to the shares where experts are chosen, not to their weights (Liu et al. 2024,
                       // "DeepSeek-V3")
  // Only `groups_used` of so many groups of adjacent experts are chosen from: those whose two best shares sum to most.
  uint32_t groups = 1, groups_used = 1;
  Matrix gate, up, down;    // rows: experts * rows of one expert, expert by expert; without a gate: act(up x)
  bool gate_in_up = false;  // `up` holds the gate's rows, then its own, for each expert
  Vector gate_bias, up_bias, down_bias;  // [expert][row]; none where gate and up are one, or without a gate
  Vector result_scale;                   // of each expert's result
  uint32_t experts = 0, used = 0;
  bool normalise = true;
  float scale = 1;            // on the routing weights
  bool weigh_inputs = false;  // the weight is on what an expert reads, not on its result (Llama 4)
  Activation kind = Activation::kSilu;
  Operand in;
  float* out = nullptr;  // width down.rows / experts
  bool add = true;       // out += instead of out =

  uint32_t inner() const { return up.rows / experts / (gate_in_up ? 2 : 1); }
  uint32_t width() const { return down.rows / experts; }
  bool gated() const { return gate || gate_in_up; }
};

// Of every row the `count` largest values, the largest first, of equal ones the lower column. NaN counts as
// -infinity, +infinity as the largest number, and that is what `best` gets; the sum is NaN if a value is not finite.
struct CandidatesArgs {
  const float* logits = nullptr;
  uint32_t rows = 0, width = 0;
  uint32_t count = 0;  // at least 1, at most `width` and most_candidates()
  // [rows][count + 1]: after the candidates of a row {width, sum of exp(value - largest value) over the row}.
  Candidate* best = nullptr;
};

// What things take on a device: pure functions of shapes, so that memory can be planned exactly, also for a
// device that is not here.
class Sizing {
 public:
  virtual ~Sizing() = default;

  // True: ops read weights where they lie in host memory, which must outlive their use (a CPU). False:
  // weights are copied into Buffers of the device; a matrix takes matrix_bytes() there, in a layout that
  // only the device's ops know, at a multiple of kWeight_alignment. `host` is a matrix in host memory
  // (its data is not looked at).
  virtual bool reads_host_memory() const = 0;
  virtual size_t matrix_bytes(const Matrix& host) const { return host.bytes(); }
  // Which operand form a multiplication by this weight wants; combine with |.
  virtual OperandForms operand_forms(const Matrix& weight) const = 0;
  virtual size_t operand_bytes(OperandForms forms, uint32_t width) const = 0;  // per row
  virtual size_t page_bytes(const CacheShape& shape) const = 0;
  // Whether caches of this shape can be used; the error says why not.
  virtual Status supports(const CacheShape& shape) const = 0;
  // Memory of the device's own that steps up to this shape need (split attention, experts, page tables),
  // in whole grains.
  virtual uint64_t scratch_bytes(const StepShape& most) const = 0;
  // Up to how many candidates per row Device::candidates() finds. 0: logits are read whole, which costs nothing
  // where they lie in host memory.
  virtual uint32_t most_candidates() const { return 0; }
};

class Device : public Sizing {
 public:
  virtual Facts facts() const = 0;
  // Takes about a second and some memory; zeros where a device cannot tell.
  virtual Limits measure_limits() { return {}; }

  // Memory. alloc: kNoMemory names needed and available bytes. free_bytes: what others and this process
  // leave now, as the operating system or the driver reports it. allocated_bytes: what alloc() and
  // reserve() have taken, whole grains, so that a promise can be compared with it.
  virtual Result<Buffer> alloc(size_t bytes) = 0;
  virtual uint64_t free_bytes() const = 0;
  // Keeps so much for the alloc()s that follow, so that of two models that are loaded at the same time one is refused
  // before it has taken anything. Replaces what is left of the promise before; 0 gives it back. Errors: kNoMemory.
  virtual Status promise(uint64_t) { return {}; }
  virtual uint64_t allocated_bytes() const = 0;

  // Copies a matrix, or `parts` of equal rows one above the other (experts), into the device's memory; what it
  // returns is the matrix there. A matrix may also come piece by piece, each to where its rows belong: of kUpload_rows
  // rows or a multiple, the last one of a part of what is left.
  virtual Result<Matrix> upload_matrix(const Matrix& host, uint32_t parts, std::byte* to);
  // upload: `from` may change as soon as this returns; what comes later sees the bytes. Inside a step only
  // to memory that no op queued in it uses. download: inside a step it is queued like an op and `to` is
  // filled when finish() returns; outside it waits.
  virtual Status upload(std::span<const std::byte> from, std::byte* to) = 0;
  virtual Status download(const std::byte* from, std::span<std::byte> to) = 0;

  // One page, downloaded to host memory, from and to the form that all devices share (neutral_page_bytes()),
  // exact to the bit: this is how a layer's cache moves between devices. Any thread.
  virtual void page_to_neutral(const CacheShape& shape, const std::byte* page, std::byte* neutral) const = 0;
  virtual void page_from_neutral(const CacheShape& shape, const std::byte* neutral, std::byte* page) const = 0;

  // Before the first step: takes scratch_bytes() of the largest shape so far. An empty shape gives all back.
  virtual Status reserve(const StepShape& most) = 0;

  // One step: begin, ops, finish. The batch stays alive until finish() returns.
  virtual void begin(const Batch& batch) = 0;
  virtual void embed(const EmbedArgs& args) = 0;
  virtual void norm(const NormArgs& args) = 0;
  // Several weights on one operand of `rows` rows (the batch's, or the number of logit rows); their results do not
  // overlap.
  virtual void project(const Operand& in, uint32_t rows, std::span<const Projection> outs) = 0;
  virtual void project_heads(const HeadProjection& args) = 0;  // of all rows of the batch
  virtual void rotate_append(const RotateAppendArgs& args) = 0;
  virtual void attention(const AttentionArgs& args) = 0;
  virtual void mix(const MixArgs& args) = 0;
  virtual void convolve(const ConvolveArgs& args) = 0;
  virtual void scan(const ScanArgs& args) = 0;
  virtual void activate(const ActivateArgs& args) = 0;
  virtual void experts(const ExpertsArgs& args) = 0;
  virtual void soft_cap(float* values, uint32_t rows, uint32_t width, float cap) = 0;             // in place
  virtual void clamp(float* values, uint32_t rows, uint32_t width, float least, float most) = 0;  // in place
  // Only if most_candidates() is not 0.
  virtual void candidates(const CandidatesArgs&) { CHECK(most_candidates() != 0); }
  virtual Status finish() = 0;  // kDeviceLost after an error that the device does not recover from

 private:
  friend class Buffer;
  virtual void free(std::byte* data, size_t bytes) = 0;
};

// float32 values, as upload() and download().
Status upload_floats(Device& device, std::span<const float> from, float* to);
Status download_floats(Device& device, const float* from, std::span<float> to);

}  // namespace hearth::device
