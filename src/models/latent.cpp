#include "models/latent.h"

#include <algorithm>

#include "models/step_parts.h"

namespace hearth::models {

namespace {

using device::Operand;
using device::OperandForms;
using device::Pieces;

uint32_t head_width(const Latent& latent) {
  return latent.key + latent.rope;
}
uint32_t cached_width(const Latent& latent) {
  return latent.rank + latent.rope;
}

// Where a row's parts lie in the scratch: what the projections give; and what becomes of the queries. The results of
// attention go to the first place again, the values of the heads to the second.
struct Places {
  uint32_t first, second;
};
Places places(const Spec& spec) {
  const Latent& latent = spec.latent;
  const uint32_t given = spec.heads * head_width(latent) + latent.query_rank + cached_width(latent);
  return {std::max(given, spec.heads * latent.rank), spec.heads * std::max(cached_width(latent), latent.value)};
}

OperandForms input_forms(const device::Sizing& sizing, const LatentWeights& weights) {
  return forms_for(sizing, {&weights.query_down.weight, &weights.down.weight,
                            weights.query_down.weight ? &weights.query_down.weight : &weights.query.weight});
}

// Parts of every head's row, as rows of an operand.
Operand heads_as_rows(const DeviceStep& step, const float* in, uint32_t row, uint32_t piece, uint32_t width,
                      const device::Matrix& reader) {
  const Operand out = operand(step, width, forms_for(step.device, {&reader}));
  const Pieces pieces{step.spec.heads, row, piece, 0, 0};
  step.device.norm({.kind = device::NormKind::kNone,
                    .weight = {nullptr, width},
                    .bias = {},
                    .in = in,
                    .operand = out,
                    .pieces = &pieces});
  return out;
}

// The queries to `q` and the vector to be cached to `cached`, one row after the other.
void project_down(const DeviceStep& step, const LayerWeights& layer, float* q, float* q_down, float* cached) {
  const Spec& spec = step.spec;
  const Latent& latent = spec.latent;
  const LatentWeights& weights = layer.latent;
  const uint32_t q_width = spec.heads * head_width(latent), width = cached_width(latent);
  const Operand in = normed(step, layer.attention_norm, input_forms(step.device, weights));
  const bool direct = latent.query_rank == 0;
  const Linear& first = direct ? weights.query : weights.query_down;
  project(step, in,
          {{first.weight, first.bias, direct ? q : q_down, direct ? q_width : latent.query_rank},
           {weights.down.weight, weights.down.bias, cached, width}});
  if (!direct) {
    const Operand narrow = operand(step, latent.query_rank, forms_for(step.device, {&weights.query.weight}));
    step.device.norm(
        {.epsilon = spec.norm_epsilon, .weight = weights.query_norm, .bias = {}, .in = q_down, .operand = narrow});
    project(step, narrow, {{weights.query.weight, weights.query.bias, q, q_width}});
  }
  const Pieces head_of_row{1, width, 0, width, 0};
  step.device.norm({.epsilon = spec.norm_epsilon,
                    .weight = weights.norm,
                    .bias = {},
                    .in = cached,
                    .operand = {},
                    .out = cached,
                    .pieces = &head_of_row});
}

// The queries as they meet what is cached: the first part through the matrix of the head's keys, the rotated one
// behind.
void absorb(const DeviceStep& step, const LatentWeights& weights, const float* q, float* out) {
  const Spec& spec = step.spec;
  const Latent& latent = spec.latent;
  const uint32_t head = head_width(latent), width = cached_width(latent);
  const Operand in = heads_as_rows(step, q, spec.heads * head, head, latent.key, weights.key_up);
  step.device.project_heads({weights.key_up, spec.heads, in, out, width});
  const Pieces rotated{spec.heads, spec.heads * head, head, spec.heads * width, width};
  step.device.norm({.kind = device::NormKind::kNone,
                    .weight = {nullptr, latent.rope},
                    .bias = {},
                    .in = q + latent.key,
                    .operand = {},
                    .out = out + latent.rank,
                    .pieces = &rotated});
}

}  // namespace

uint32_t latent_scratch_width(const Spec& spec) {
  const Places at = places(spec);
  return at.first + at.second;
}

uint64_t latent_operand_bytes(const device::Sizing& sizing, const Spec& spec, const LatentWeights& weights) {
  const Latent& latent = spec.latent;
  const auto bytes = [&](OperandForms forms, uint32_t width) { return sizing.operand_bytes(forms, width); };
  return std::max<uint64_t>({bytes(input_forms(sizing, weights), spec.width),
                             bytes(forms_for(sizing, {&weights.query.weight}), latent.query_rank),
                             spec.heads * bytes(forms_for(sizing, {&weights.key_up}), latent.key),
                             spec.heads * bytes(forms_for(sizing, {&weights.value_up}), latent.rank)});
}

Status read_latent(TensorReader& reader, const Spec& spec, const std::string& block, LatentWeights* weights) {
  const Latent& latent = spec.latent;
  const uint32_t q_width = spec.heads * head_width(latent);
  if (latent.query_rank == 0) {
    ASSIGN_OR_RETURN(weights->query, reader.linear(block + "attn_q", q_width, spec.width));
  } else {
    ASSIGN_OR_RETURN(weights->query_down, reader.linear(block + "attn_q_a", latent.query_rank, spec.width));
    ASSIGN_OR_RETURN(weights->query_norm, reader.vector(block + "attn_q_a_norm.weight", latent.query_rank));
    ASSIGN_OR_RETURN(weights->query, reader.linear(block + "attn_q_b", q_width, latent.query_rank));
  }
  ASSIGN_OR_RETURN(weights->down, reader.linear(block + "attn_kv_a_mqa", cached_width(latent), spec.width));
  ASSIGN_OR_RETURN(weights->norm, reader.vector(block + "attn_kv_a_norm.weight", latent.rank));
  const std::string both = block + "attn_kv_b.weight";
  if (!reader.has(both)) {
    ASSIGN_OR_RETURN(weights->key_up, reader.matrices(block + "attn_k_b.weight", spec.heads, latent.rank, latent.key));
    ASSIGN_OR_RETURN(weights->value_up,
                     reader.matrices(block + "attn_v_b.weight", spec.heads, latent.value, latent.rank));
    return {};
  }
  // For every head rows of keys, then of values.
  const uint32_t rows = latent.key + latent.value;
  const MatrixShape file{spec.heads * rows, latent.rank};
  ASSIGN_OR_RETURN(weights->key_up, reader.rearranged(both, file, {spec.heads * latent.rank, latent.key}, spec.heads,
                                                      [&](uint32_t row, uint32_t col) {
                                                        const uint32_t head = row / latent.rank;
                                                        return MatrixPlace{head * rows + col, row % latent.rank};
                                                      }));
  ASSIGN_OR_RETURN(weights->value_up,
                   reader.rearranged(both, file, {spec.heads * latent.value, latent.rank}, spec.heads,
                                     [&](uint32_t row, uint32_t col) {
                                       const uint32_t head = row / latent.value;
                                       return MatrixPlace{head * rows + latent.key + row % latent.value, col};
                                     }));
  return {};
}

void latent_attention(const DeviceStep& step, uint32_t index, const device::CacheLayer& cache) {
  const Spec& spec = step.spec;
  const Latent& latent = spec.latent;
  const LayerSpec& own = spec.per_layer[index];
  const LayerWeights& layer = step.weights.layers[index];
  const LatentWeights& weights = layer.latent;
  const size_t rows = step.batch.rows();
  const uint32_t width = cached_width(latent), summed = spec.heads * latent.rank;
  float* const first = step.workspace.scratch;
  float* const second = first + rows * places(spec).first;
  float *const q = first, *const q_down = q + rows * spec.heads * head_width(latent),
               *const cached = q_down + rows * latent.query_rank;
  project_down(step, layer, q, q_down, cached);
  absorb(step, weights, q, second);
  step.device.rotate_append({.q = second,
                             .k = cached,
                             .v = cached,  // what is normalised is key and value
                             .q_stride = spec.heads * width,
                             .k_stride = width,
                             .v_stride = width,
                             .heads = spec.heads,
                             .rope = &spec.ropes[own.rope],
                             .q_norm = {},
                             .k_norm = {},
                             .cache = cache});
  step.device.attention({.q = second,
                         .q_stride = spec.heads * width,
                         .heads = spec.heads,
                         .cache = cache,
                         .scale = spec.attention_scale,
                         .out = {},
                         .values = first});
  const Operand sums = heads_as_rows(step, first, summed, latent.rank, latent.rank, weights.value_up);
  step.device.project_heads({weights.value_up, spec.heads, sums, second, latent.value});
  const Linear& output = layer.attention_output;
  const uint32_t out_width = spec.heads * latent.value;
  add_result(step, plain(step, second, out_width, forms_for(step.device, {&output.weight})), output, {});
}

}  // namespace hearth::models
