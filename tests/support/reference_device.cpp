#include "support/reference_device.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>

#include "base/error.h"
#include "base/half.h"

namespace hearth::test {

using namespace hearth::device;

namespace {

std::vector<float> matrix_row(const Matrix& matrix, uint64_t row) {
  std::vector<float> out(matrix.cols);
  matrix.format->decode(matrix.data + row * matrix.row_bytes(), matrix.cols, out.data());
  return out;
}

double dot(std::span<const float> a, const float* b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += static_cast<double>(a[i]) * b[i];
  return sum;
}

double root_mean_square(std::span<const float> row) {
  return std::sqrt(dot(row, row.data()) / static_cast<double>(row.size()));
}

float* operand_row(const Operand& operand, uint32_t row) {
  return reinterpret_cast<float*>(operand.data) + size_t{row} * operand.width;
}

double as_half(double x) {
  return half_to_float(float_to_half(static_cast<float>(x)));
}

double gelu(double exact) {
  if (exact >= 10) return exact;
  const double x = as_half(exact);
  return as_half(0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x))));
}

double activation(Activation kind, double x) {
  switch (kind) {
    case Activation::kSilu:
      return x / (1 + std::exp(-x));
    case Activation::kQuickGelu:
      return x / (1 + std::exp(-1.702 * x));
    case Activation::kGeluTanh:
      return gelu(x);
    case Activation::kRelu:
      return std::max(x, 0.0);
    case Activation::kReluSquared:
      return std::max(x, 0.0) * std::max(x, 0.0);
    case Activation::kSigmoid:
      return 1 / (1 + std::exp(-x));
    case Activation::kClampedSwish:
      break;  // only with a second factor
  }
  CHECK(false);
}

double gated_activation(Activation kind, double gate, double up) {
  if (kind != Activation::kClampedSwish) return activation(kind, gate) * up;
  const double x = std::min(gate, 7.0);
  return x / (1 + std::exp(-1.702 * x)) * (std::clamp(up, -7.0, 7.0) + 1);
}

void rms_norm_head(std::span<float> head, const Vector& weight, float epsilon) {
  double squares = 0;
  for (const float x : head) squares += static_cast<double>(x) * x;
  const double scale = 1 / std::sqrt(squares / static_cast<double>(head.size()) + static_cast<double>(epsilon));
  for (size_t i = 0; i < head.size(); ++i)
    head[i] = static_cast<float>(head[i] * scale * (weight ? weight.data[i] : 1));
}

void rotate_head(std::span<float> head, const Rope& rope, const Place& place) {
  const uint32_t half = rope.dims / 2;
  for (uint32_t i = 0; i < half; ++i) {
    const bool adjacent = rope.pairs == Rope::Pairs::kAdjacent;
    const uint32_t part = half / rope.parts, in_part = i / part * 2 * part + i % part;
    float& a = head[rope.first + (adjacent ? 2 * i : in_part)];
    float& b = head[rope.first + (adjacent ? 2 * i + 1 : in_part + part)];
    const uint32_t position = place[rope.axis.empty() ? 0 : rope.axis[i]];
    const double angle = static_cast<double>(position) * rope.inverse_frequency[i];
    const double cosine = std::cos(angle) * rope.magnitude, sine = std::sin(angle) * rope.magnitude;
    const double x = a, y = b;
    a = static_cast<float>(x * cosine - y * sine);
    b = static_cast<float>(x * sine + y * cosine);
  }
}

// Where the key (or the value, which follows all keys of the page) of a position and head lies.
float* cached(const CacheLayer& cache, const BatchSequence& sequence, uint32_t position, uint32_t head, bool value) {
  const CacheShape& shape = cache.shape;
  const int32_t page = sequence.pages[position / kPage_tokens];
  float* base = reinterpret_cast<float*>(cache.data + static_cast<size_t>(page) * cache.page_bytes);
  const size_t slot = size_t{position % kPage_tokens} * shape.kv_heads + head;
  if (!value || shape.values_in_keys) return base + slot * shape.key_dim;
  return base + size_t{kPage_tokens} * shape.kv_heads * shape.key_dim + slot * shape.value_dim;
}

const quant::Format& row_format(CacheType type) {
  return *quant::find_name(type == CacheType::kF32 ? "F32" : type == CacheType::kF16 ? "F16" : "Q8_0");
}

// visit(first value in the page, first byte in the neutral page, format there, values) for every row.
template <class Visit>
void visit_rows(const CacheShape& shape, const Visit& visit) {
  const quant::Format& format = row_format(shape.type);
  size_t first = 0, neutral = 0;
  for (const uint32_t dims : {shape.key_dim, shape.values_in_keys ? 0 : shape.value_dim}) {
    for (uint32_t head = 0; head < shape.kv_heads; ++head)
      for (uint32_t slot = 0; slot < kPage_tokens; ++slot, neutral += neutral_row_bytes(shape.type, dims))
        visit(first + (size_t{slot} * shape.kv_heads + head) * dims, neutral, format, dims);
    first += size_t{kPage_tokens} * shape.kv_heads * dims;
  }
}

}  // namespace

ReferenceDevice::~ReferenceDevice() {
  CHECK(allocated_bytes_ == 0);
}

Result<Buffer> ReferenceDevice::alloc(size_t bytes) {
  if (bytes > memory_bytes_ - allocated_bytes_)
    return error(ErrorKind::kNoMemory, "{} bytes needed, {} available", bytes, memory_bytes_ - allocated_bytes_);
  allocated_bytes_ += bytes;
  return Buffer(this, new std::byte[bytes], bytes);
}

void ReferenceDevice::free(std::byte* data, size_t bytes) {
  delete[] data;
  allocated_bytes_ -= bytes;
}

Status ReferenceDevice::upload(std::span<const std::byte> from, std::byte* to) {
  std::copy(from.begin(), from.end(), to);
  return {};
}

Status ReferenceDevice::download(const std::byte* from, std::span<std::byte> to) {
  std::copy(from, from + to.size(), to.begin());
  return {};
}

void ReferenceDevice::page_to_neutral(const CacheShape& shape, const std::byte* page, std::byte* neutral) const {
  if (shape.state != 0) std::memcpy(neutral, page, shape.state * sizeof(float));
  visit_rows(shape, [&](size_t at, size_t neutral_at, const quant::Format& format, uint32_t dims) {
    format.encode(reinterpret_cast<const float*>(page) + at, dims, nullptr,
                  reinterpret_cast<uint8_t*>(neutral) + neutral_at);
  });
}

void ReferenceDevice::page_from_neutral(const CacheShape& shape, const std::byte* neutral, std::byte* page) const {
  if (shape.state != 0) std::memcpy(page, neutral, shape.state * sizeof(float));
  visit_rows(shape, [&](size_t at, size_t neutral_at, const quant::Format& format, uint32_t dims) {
    format.decode(reinterpret_cast<const uint8_t*>(neutral) + neutral_at, dims, reinterpret_cast<float*>(page) + at);
  });
}

size_t ReferenceDevice::page_bytes(const CacheShape& shape) const {
  const size_t keys = size_t{kPage_tokens} * shape.kv_heads * (shape.key_dim + shape.value_dim);
  return (shape.state != 0 ? shape.state : keys) * sizeof(float);
}

Status ReferenceDevice::supports(const CacheShape& shape) const {
  if (shape.type == CacheType::kQ8_0 && (shape.key_dim % 32 != 0 || shape.value_dim % 32 != 0))
    return error(ErrorKind::kUnsupported, "a q8_0 cache needs head sizes that are multiples of 32, not {} and {}",
                 shape.key_dim, shape.value_dim);
  return {};
}

void ReferenceDevice::round_through(CacheType type, std::span<float> values) {
  if (type == CacheType::kF16)
    for (float& x : values) x = half_to_float(float_to_half(x));
  if (type == CacheType::kQ8_0) {
    const quant::Format* format = quant::find_name("Q8_0");
    std::vector<uint8_t> blocks(format->bytes(values.size()));
    format->encode(values.data(), values.size(), nullptr, blocks.data());
    format->decode(blocks.data(), values.size(), values.data());
  }
}

void ReferenceDevice::embed(const EmbedArgs& args) {
  const uint32_t width = args.table ? args.table.cols : args.positions.cols;
  for (const BatchSequence& sequence : batch_->sequences) {
    for (uint32_t i = 0; i < sequence.rows; ++i) {
      const uint32_t row = sequence.first_row + i;
      float* out = args.out + size_t{row} * width;
      if (args.table) {
        const std::vector<float> token = matrix_row(args.table, static_cast<uint64_t>(batch_->tokens[row]));
        for (uint32_t c = 0; c < width; ++c) out[c] = token[c] * args.scale;
      }
      if (!args.positions) continue;
      const std::vector<float> position = matrix_row(args.positions, sequence.first_position + i);
      for (uint32_t c = 0; c < width; ++c) out[c] += position[c];
    }
  }
}

void ReferenceDevice::norm(const NormArgs& args) {
  const uint32_t width = args.weight.size;
  const bool of_logits = args.logit_rows || args.compacted;
  const uint32_t rows = of_logits ? static_cast<uint32_t>(batch_->logit_rows.size()) : batch_->rows();
  const Pieces pieces = args.layout();
  for (uint32_t i = 0; i < rows * pieces.count; ++i) {
    const uint32_t row = i / pieces.count, piece = i % pieces.count;
    const float* in =
        args.in + size_t{args.logit_rows ? batch_->logit_rows[row] : row} * pieces.in_row + piece * pieces.in_piece;
    const bool above = args.kind == NormKind::kAboveMean;
    double mean = 0, squares = 0;
    if (args.kind == NormKind::kLayer || above) mean = std::accumulate(in, in + width, 0.0) / width;
    for (uint32_t c = 0; c < width; ++c) squares += (in[c] - mean) * (in[c] - mean);
    double scale =
        args.kind == NormKind::kNone || above ? 1 : 1 / std::sqrt(squares / width + static_cast<double>(args.epsilon));
    if (args.kind == NormKind::kLike) scale *= root_mean_square({args.like + size_t{row} * width, width});
    if (above) mean += args.deviations * std::sqrt(squares / (width - 1));
    for (uint32_t c = 0; c < width; ++c) {
      double value = in[c] - mean;
      if (above && value < 0) value = 0;
      value *= scale * (args.weight ? args.weight.data[pieces.own_weights ? piece * width + c : c] : 1);
      if (args.bias) value += args.bias.data[c];
      value *= args.factor;
      if (args.operand.data != nullptr) operand_row(args.operand, i)[c] = static_cast<float>(value);
      if (args.out == nullptr) continue;
      float& out = args.out[size_t{row} * pieces.out_row + piece * pieces.out_piece + c];
      out = static_cast<float>(args.add ? out + value : value);
    }
  }
}

void ReferenceDevice::mix(const MixArgs& args) {
  for (uint32_t row = 0; row < batch_->rows(); ++row) {
    const float* coefficients = args.coefficients + size_t{row} * args.ins * args.outs;
    for (uint32_t c = 0; c < args.width; ++c) {
      const size_t at = size_t{row} * args.width + c;
      std::vector<double> sums(args.outs);
      for (uint32_t k = 0; k < args.outs; ++k)
        for (uint32_t j = 0; j < args.ins; ++j)
          sums[k] += (double{args.offset} + coefficients[k * args.ins + j]) * args.in[j * args.in_array + at];
      for (uint32_t k = 0; k < args.outs; ++k) {
        float& out = args.out[k * args.out_array + at];
        out = static_cast<float>(out + sums[k]);
      }
    }
  }
}

void ReferenceDevice::project(const Operand& in, uint32_t rows, std::span<const Projection> outs) {
  for (const Projection& projection : outs) {
    for (uint32_t r = 0; r < projection.weight.rows; ++r) {
      const std::vector<float> weight = matrix_row(projection.weight, r);
      for (uint32_t row = 0; row < rows; ++row) {
        double value = dot(weight, operand_row(in, row));
        if (projection.bias) value += projection.bias.data[r];
        float& out = projection.out[size_t{row} * projection.stride + r];
        out = static_cast<float>(projection.add ? out + value : value);
      }
    }
  }
}

void ReferenceDevice::project_heads(const HeadProjection& args) {
  const uint32_t rows = args.weight.rows / args.heads;
  for (uint32_t r = 0; r < args.weight.rows; ++r) {
    const std::vector<float> weight = matrix_row(args.weight, r);
    for (uint32_t row = 0; row < batch_->rows(); ++row) {
      const uint32_t at = row * args.heads + r / rows;
      args.out[size_t{at} * args.stride + r % rows] = static_cast<float>(dot(weight, operand_row(args.in, at)));
    }
  }
}

void ReferenceDevice::rotate_append(const RotateAppendArgs& args) {
  const CacheShape& shape = args.cache.shape;
  const auto prepare = [&](std::span<float> head, const Vector& norm_weight, const Place& place) {
    if (args.rope != nullptr && args.norm_last) rotate_head(head, *args.rope, place);
    if (norm_weight || args.plain_norms) rms_norm_head(head, norm_weight, args.epsilon);
    if (args.rope != nullptr && !args.norm_last) rotate_head(head, *args.rope, place);
  };
  const auto grow = [&](std::span<float> head, uint32_t position) {
    const uint32_t periods = (position + args.growth.offset) / args.growth.period;
    for (float& x : head) x = static_cast<float>(x * (1 + args.growth.factor * std::log(1.0 + periods)));
  };
  for (const BatchSequence& sequence : batch_->sequences) {
    for (uint32_t i = 0; i < sequence.rows; ++i) {
      const size_t row = sequence.first_row + i;
      const uint32_t position = sequence.first_position + i;
      const Place place = batch_->places.empty() ? Place{position, position, position} : batch_->places[row];
      for (uint32_t h = 0; h < args.heads; ++h) {
        const std::span<float> head(args.q + row * args.q_stride + size_t{h} * shape.key_dim, shape.key_dim);
        prepare(head, args.q_norm, place);
        grow(head, position);
      }
      for (uint32_t h = 0; args.k != nullptr && h < shape.kv_heads; ++h) {
        const float* k = args.k + row * args.k_stride + size_t{h} * shape.key_dim;
        const float* v = args.v + row * args.v_stride + size_t{h} * shape.value_dim;
        std::span<float> key(cached(args.cache, sequence, position, h, false), shape.key_dim);
        std::span<float> value(cached(args.cache, sequence, position, h, true), shape.value_dim);
        std::copy(k, k + shape.key_dim, key.begin());
        prepare(key, args.k_norm, place);
        round_through(shape.type, key);
        if (shape.values_in_keys) continue;
        std::copy(v, v + shape.value_dim, value.begin());
        round_through(shape.type, value);
      }
    }
  }
}

void ReferenceDevice::attention(const AttentionArgs& args) {
  const CacheShape& shape = args.cache.shape;
  for (const BatchSequence& sequence : batch_->sequences) {
    for (uint32_t i = 0; i < sequence.rows; ++i) {
      const uint32_t row = sequence.first_row + i, position = sequence.first_position + i;
      const uint32_t moving = args.window != 0 && position >= args.window ? position - args.window + 1 : 0;
      const uint32_t first = args.chunked ? position / args.window * args.window : moving;
      uint32_t last = position;
      for (const AheadRows& ahead : batch_->ahead)
        if (args.ahead && row >= ahead.first_row && row < ahead.first_row + ahead.rows) last = ahead.end - 1;
      for (uint32_t h = 0; h < args.heads; ++h) {
        const uint32_t kv_head = static_cast<uint32_t>(uint64_t{h} * shape.kv_heads / args.heads);
        const float* q = args.q + size_t{row} * args.q_stride + size_t{h} * shape.key_dim;
        std::vector<double> weights(last - first + 1);
        for (uint32_t p = first; p <= last; ++p) {
          const float* key = cached(args.cache, sequence, p, kv_head, false);
          double score = static_cast<double>(args.scale) * dot({q, shape.key_dim}, key);
          if (args.soft_cap != 0) score = args.soft_cap * std::tanh(score / args.soft_cap);
          weights[p - first] = score;
        }
        const double largest = *std::max_element(weights.begin(), weights.end());
        double sum = 0;
        for (double& w : weights) sum += (w = std::exp(w - largest));
        if (args.sinks) sum += std::exp(args.sinks.data[h] - largest);
        float* whole = args.values != nullptr ? args.values + size_t{row} * args.heads * shape.value_dim
                                              : operand_row(args.out, row);
        float* out = whole + size_t{h} * shape.value_dim;
        for (uint32_t d = 0; d < shape.value_dim; ++d) {
          double total = 0;
          for (uint32_t p = first; p <= last; ++p)
            total += weights[p - first] * cached(args.cache, sequence, p, kv_head, true)[d];
          out[d] = static_cast<float>(total / sum);
        }
      }
    }
  }
}

void ReferenceDevice::convolve(const ConvolveArgs& args) {
  const uint32_t kept = args.taps - 1, channels = args.channels;
  for (const BatchSequence& sequence : batch_->sequences) {
    std::vector<float> inputs(size_t{kept} * channels);  // those before the sequence's rows, then theirs
    if (sequence.first_position > 0)
      inputs.assign(state_of(args.state, sequence, sequence.first_position - 1),
                    state_of(args.state, sequence, sequence.first_position - 1) + inputs.size());
    for (uint32_t i = 0; i < sequence.rows; ++i) {
      const size_t place = size_t{sequence.first_row + i} * args.in_stride;
      for (uint32_t c = 0; c < channels; ++c)
        inputs.push_back(args.in[place + c] * (args.in_factor != nullptr ? args.in_factor[place + c] : 1));
      for (uint32_t c = 0; c < channels; ++c) {
        double sum = args.bias ? static_cast<double>(args.bias.data[c]) : 0;
        for (uint32_t tap = 0; tap < args.taps; ++tap)
          sum += static_cast<double>(args.weight.data[c * args.taps + tap]) * inputs[size_t{i + tap} * channels + c];
        if (args.silu) sum /= 1 + std::exp(-sum);
        if (args.out_factor != nullptr) sum *= args.out_factor[place + c];
        args.out[size_t{sequence.first_row + i} * args.out_stride + c] = static_cast<float>(sum);
      }
      if (ends_state(args.state, sequence, i))
        std::copy_n(inputs.end() - static_cast<ptrdiff_t>(size_t{kept} * channels), size_t{kept} * channels,
                    state_of(args.state, sequence, sequence.first_position + i));
    }
  }
}

// One head of one sequence.
static void scan_head(const ScanArgs& args, const BatchSequence& sequence, uint32_t head) {
  const uint32_t per_group = args.heads / args.groups, keys = args.key_dim, values = args.value_dim;
  const uint32_t key_head = args.interleaved ? head % args.groups : head / per_group;
  const uint32_t of_head = head / per_group * args.group_stride + head % per_group;
  const size_t at = args.state_at + size_t{head} * values * keys;
  std::vector<double> state(size_t{values} * keys);
  if (sequence.first_position > 0)
    std::copy_n(state_of(args.state, sequence, sequence.first_position - 1) + at, state.size(), state.begin());
  for (uint32_t i = 0; i < sequence.rows; ++i) {
    const size_t row = sequence.first_row + i;
    const double x = static_cast<double>(args.step[row * args.step_stride + of_head]) + args.step_bias.data[head];
    const double step = std::log1p(std::exp(-std::abs(x))) + std::max(x, 0.0);
    const double decay = std::exp(step * args.decay.data[head]);
    const float* q = args.q + row * args.stride + size_t{key_head} * keys;
    const float* k = args.k + row * args.stride + size_t{key_head} * keys;
    for (uint32_t d = 0; d < values; ++d) {
      double* s = state.data() + size_t{d} * keys;
      const double v = args.v[row * args.stride + size_t{head} * values + d], scale = args.k_scale;
      double held = 0, out = 0, change = v * step;
      for (uint32_t c = 0; c < keys; ++c) s[c] *= decay, held += s[c] * k[c] * scale;
      if (args.beta != nullptr)
        change = (v - held) / (1 + std::exp(-static_cast<double>(args.beta[row * args.step_stride + of_head])));
      for (uint32_t c = 0; c < keys; ++c) s[c] += k[c] * scale * change, out += s[c] * q[c];
      out *= args.q_scale;
      if (args.skip) out += args.skip.data[head] * v;
      if (args.gate != nullptr)
        out *= activation(Activation::kSilu, args.gate[row * args.gate_stride + head * values + d]);
      args.out[row * args.out_stride + size_t{head} * values + d] = static_cast<float>(out);
    }
    if (!ends_state(args.state, sequence, i)) continue;
    float* to = state_of(args.state, sequence, sequence.first_position + i) + at;
    for (size_t j = 0; j < state.size(); ++j) to[j] = static_cast<float>(state[j]);
  }
}

void ReferenceDevice::scan(const ScanArgs& args) {
  for (const BatchSequence& sequence : batch_->sequences)
    for (uint32_t head = 0; head < args.heads; ++head) scan_head(args, sequence, head);
}

void ReferenceDevice::activate(const ActivateArgs& args) {
  for (uint32_t row = 0; row < batch_->rows(); ++row) {
    for (uint32_t c = 0; c < args.out.width; ++c) {
      const size_t at = size_t{row} * args.stride + c;
      const size_t up_at = size_t{row} * (args.up_stride != 0 ? args.up_stride : args.stride) + c;
      const double value = args.up != nullptr ? gated_activation(args.kind, args.gate[at], args.up[up_at])
                                              : activation(args.kind, args.gate[at]);
      const double share = args.row_gate != nullptr ? 1 / (1 + std::exp(-static_cast<double>(args.row_gate[row]))) : 1;
      float* out = args.values != nullptr ? args.values + size_t{row} * args.out.width : operand_row(args.out, row);
      out[c] = static_cast<float>(value * share);
    }
  }
}

namespace {

std::vector<double> expert_shares(const ExpertsArgs& args, std::span<const double> logits) {
  std::vector<double> shares(logits.begin(), logits.end());
  if (args.gating == Gating::kSigmoid) {
    for (double& share : shares) share = 1 / (1 + std::exp(-share));
    return shares;
  }
  const double largest = *std::max_element(shares.begin(), shares.end());
  double sum = 0;
  for (double& share : shares) sum += (share = std::exp(share - largest));
  for (double& share : shares) share /= sum;
  return shares;
}

// Best first.
std::vector<uint32_t> best_experts(const ExpertsArgs& args, std::vector<double> scores) {
  const uint32_t size = args.experts / args.groups;
  std::vector<std::pair<double, uint32_t>> groups;
  for (uint32_t g = 0; g < args.groups; ++g) {
    std::vector<double> own(scores.begin() + g * size, scores.begin() + (g + 1) * size);
    std::sort(own.begin(), own.end(), std::greater());
    groups.emplace_back(own[0] + (size > 1 ? own[1] : 0), g);
  }
  std::stable_sort(groups.begin(), groups.end(), [](const auto& a, const auto& b) { return a.first > b.first; });
  for (uint32_t i = args.groups_used; i < args.groups; ++i)
    std::fill_n(scores.begin() + groups[i].second * size, size, -std::numeric_limits<double>::infinity());
  std::vector<uint32_t> order(args.experts);
  std::iota(order.begin(), order.end(), 0u);
  std::stable_sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) { return scores[a] > scores[b]; });
  order.resize(args.used);
  return order;
}

// What one expert makes of a row, before `down`.
std::vector<float> expert_hidden(const ExpertsArgs& args, uint32_t expert, const float* in, double weight) {
  const uint32_t inner = args.inner();
  const auto value = [&](const Matrix& matrix, const Vector& bias, uint64_t row, uint32_t r) {
    const double sum = dot(matrix_row(matrix, row), in) + (bias ? bias.data[uint64_t{expert} * inner + r] : 0);
    return args.weigh_inputs ? weight * sum : sum;
  };
  std::vector<float> hidden(inner);
  for (uint32_t r = 0; r < inner; ++r) {
    const uint64_t at = uint64_t{expert} * inner + r, in_one = uint64_t{2} * expert * inner + r;
    const double up = value(args.up, args.up_bias, args.gate_in_up ? in_one + inner : at, r);
    if (!args.gated()) {
      hidden[r] = static_cast<float>(activation(args.kind, up));
      continue;
    }
    const double gate = args.gate_in_up ? value(args.up, {}, in_one, r) : value(args.gate, args.gate_bias, at, r);
    hidden[r] = static_cast<float>(gated_activation(args.kind, gate, up));
  }
  return hidden;
}

}  // namespace

void ReferenceDevice::experts(const ExpertsArgs& args) {
  const uint32_t outer = args.width();
  for (uint32_t row = 0; row < batch_->rows(); ++row) {
    const float* in = operand_row(args.in, row);
    std::vector<double> logits(args.experts);
    for (uint32_t e = 0; e < args.experts; ++e)
      logits[e] = args.logits != nullptr ? args.logits[size_t{row} * args.experts + e]
                                         : dot(matrix_row(args.router, e), in) +
                                               (args.router_bias ? static_cast<double>(args.router_bias.data[e]) : 0);
    const std::vector<double> shares = expert_shares(args, logits);
    std::vector<double> scores = shares;
    if (args.choice_bias)
      for (uint32_t e = 0; e < args.experts; ++e) scores[e] += args.choice_bias.data[e];
    const std::vector<uint32_t> order = best_experts(args, scores);
    double chosen = 0;
    for (const uint32_t e : order) chosen += shares[e];
    float* out = args.out + size_t{row} * outer;
    if (!args.add) std::fill_n(out, outer, 0.0f);
    for (const uint32_t e : order) {
      double weight = static_cast<double>(args.scale) * (args.normalise ? shares[e] / chosen : shares[e]);
      if (args.result_scale) weight *= args.result_scale.data[e];
      const std::vector<float> hidden = expert_hidden(args, e, in, weight);
      for (uint32_t r = 0; r < outer; ++r) {
        const uint64_t at = uint64_t{e} * outer + r;
        const double result = dot(matrix_row(args.down, at), hidden.data()) +
                              (args.down_bias ? static_cast<double>(args.down_bias.data[at]) : 0);
        out[r] = static_cast<float>(out[r] + (args.weigh_inputs ? 1 : weight) * result);
      }
    }
  }
}

void ReferenceDevice::soft_cap(float* values, uint32_t rows, uint32_t width, float cap) {
  for (size_t i = 0; i < size_t{rows} * width; ++i)
    values[i] = static_cast<float>(cap * std::tanh(static_cast<double>(values[i]) / cap));
}

void ReferenceDevice::clamp(float* values, uint32_t rows, uint32_t width, float least, float most) {
  for (size_t i = 0; i < size_t{rows} * width; ++i)
    if (!std::isnan(values[i])) values[i] = std::clamp(values[i], least, most);
}

void ReferenceDevice::candidates(const CandidatesArgs& args) {
  for (uint32_t row = 0; row < args.rows; ++row) {
    const float* logits = args.logits + size_t{row} * args.width;
    std::vector<Candidate> all;
    for (uint32_t i = 0; i < args.width; ++i) {
      const float number = std::isnan(logits[i]) ? -INFINITY : std::min(logits[i], std::numeric_limits<float>::max());
      all.push_back({i, number});
    }
    std::stable_sort(all.begin(), all.end(), [](const Candidate& a, const Candidate& b) { return a.value > b.value; });
    double total = 0;
    for (const Candidate& candidate : all) total += std::exp(double{candidate.value} - all[0].value);
    for (uint32_t i = 0; i < args.width; ++i) total += 0 * logits[i];
    Candidate* out = args.best + row * (size_t{args.count} + 1);
    std::copy_n(all.begin(), args.count, out);
    out[args.count] = {args.width, static_cast<float>(total)};
  }
}

Status ReferenceDevice::finish() {
  batch_ = nullptr;
  return {};
}

}  // namespace hearth::test
