#include "models/weights.h"

#include <cmath>

#include "models/latent.h"
#include "models/layer_inputs.h"
#include "models/recurrent.h"
#include "models/streams.h"

namespace hearth::models {

namespace {

Status read_attention_norms(TensorReader& reader, const Spec& spec, const std::string& block, LayerWeights* layer) {
  Norm& norm = spec.norms_on_sums ? layer->post_attention_norm : layer->attention_norm;
  if (spec.pre_norms || spec.norms_on_sums) {
    ASSIGN_OR_RETURN(norm, reader.norm(block + "attn_norm", spec.width));
  }
  if (spec.side_by_side && reader.has(block + "attn_norm_2.weight")) {  // Falcon 40B: one for each
    layer->feed_forward_norm = norm;
    ASSIGN_OR_RETURN(norm, reader.norm(block + "attn_norm_2", spec.width));
  }
  if (spec.post_norms) {
    ASSIGN_OR_RETURN(layer->post_attention_norm, reader.norm(block + "post_attention_norm", spec.width));
  }
  return {};
}

// Some families name the norm before the feed-forward after where it stands.
Status read_feed_forward_norm(TensorReader& reader, const Spec& spec, const std::string& block, LayerWeights* layer) {
  if (spec.side_by_side || !(spec.pre_norms || spec.norms_on_sums)) return {};
  Norm& norm = spec.norms_on_sums ? layer->post_feed_forward_norm : layer->feed_forward_norm;
  const char* name = "ffn_norm";
  if (!spec.post_norms && !reader.has(block + "ffn_norm.weight")) name = "post_attention_norm";
  if (!spec.post_norms && !reader.has(block + name + ".weight")) name = "attn_norm";  // of blocks of one part
  ASSIGN_OR_RETURN(norm, reader.norm(block + name, spec.width));
  return {};
}

Status read_attention(TensorReader& reader, const Spec& spec, uint32_t index, const std::string& block,
                      LayerWeights* layer) {
  const HeadSizes sizes = heads_of(spec, index);
  const uint32_t q = spec.heads * sizes.key_dim * (spec.attention_gate ? 2 : 1), k = sizes.kv_heads * sizes.key_dim,
                 v = sizes.kv_heads * sizes.value_dim;
  const bool own_cache = spec.per_layer[index].cache == kOwn_cache;
  TRY(read_attention_norms(reader, spec, block, layer));
  if (spec.latent.rank != 0) {
    TRY(read_latent(reader, spec, block, &layer->latent));
  } else if (reader.has(block + "attn_qkv.weight")) {
    ASSIGN_OR_RETURN(layer->qkv, reader.linear(block + "attn_qkv", q + k + v, spec.width));
  } else {
    ASSIGN_OR_RETURN(layer->q, reader.linear(block + "attn_q", q, spec.width));
    if (own_cache) {
      ASSIGN_OR_RETURN(layer->k, reader.linear(block + "attn_k", k, spec.width));
    }
    if (own_cache && (!spec.norm_values || reader.has(block + "attn_v.weight"))) {
      ASSIGN_OR_RETURN(layer->v, reader.linear(block + "attn_v", v, spec.width));
    }
  }
  // The second names are Ollama's.
  const std::string sinks = block + (reader.has(block + "attn_sinks.weight") ? "attn_sinks.weight" : "attn_sinks");
  ASSIGN_OR_RETURN(layer->sinks, reader.optional_vector(sinks, spec.heads));
  if (spec.qk_norm != QkNorm::kNone && spec.qk_norm != QkNorm::kPlainAfterRotation) {
    const bool whole = spec.qk_norm == QkNorm::kWhole;
    ASSIGN_OR_RETURN(layer->q_norm, reader.vector(block + "attn_q_norm.weight", whole ? q : sizes.key_dim));
    if (own_cache) {
      ASSIGN_OR_RETURN(layer->k_norm, reader.vector(block + "attn_k_norm.weight", whole ? k : sizes.key_dim));
    }
  }
  const char* output = reader.has(block + "attn_out.weight") ? "attn_out" : "attn_output";
  ASSIGN_OR_RETURN(layer->attention_output,
                   reader.linear(block + output, spec.width, attention_output_width(spec, index)));
  return {};
}

Status read_dense(TensorReader& reader, const Spec& spec, uint32_t index, const std::string& block,
                  LayerWeights* layer) {
  const uint32_t inner = feed_forward_of(spec, index), up_rows = spec.gate_in_up ? 2 * inner : inner;
  if (spec.gated && !spec.gate_in_up) {
    ASSIGN_OR_RETURN(layer->gate, reader.linear(block + "ffn_gate", inner, spec.width));
  }
  ASSIGN_OR_RETURN(layer->up, reader.linear(block + "ffn_up", up_rows, spec.width));
  ASSIGN_OR_RETURN(layer->down, reader.linear(block + "ffn_down", spec.width, inner));
  return {};
}

}  // namespace

// Some models have layers of both kinds.
bool has_experts(const gguf::File& file, const Spec& spec, uint32_t index) {
  if (spec.dense_beside_experts) return file.tensor(fmt::format("blk.{}.ffn_gate_inp.weight", index)) != nullptr;
  return spec.experts != 0 && spec.per_layer[index].feed_forward &&
         file.tensor(fmt::format("blk.{}.ffn_up.weight", index)) == nullptr;
}

Status read_layer(TensorReader& reader, const Spec& spec, uint32_t index, LayerWeights* layer) {
  const std::string block = fmt::format("blk.{}.", index);
  const LayerSpec& own = spec.per_layer[index];
  if (own.mixer == Mixer::kAttention) TRY(read_attention(reader, spec, index, block, layer));
  if (keeps_state(own.mixer)) {
    TRY(read_attention_norms(reader, spec, block, layer));
    TRY(read_recurrent(reader, spec, own.mixer, block, &layer->recurrent));
  }
  if (own.feed_forward && !has_experts(reader.file(), spec, index)) {
    TRY(read_feed_forward_norm(reader, spec, block, layer));
    TRY(read_dense(reader, spec, index, block, layer));
  }
  if (spec.post_norms && !(spec.dense_beside_experts && has_experts(reader.file(), spec, index))) {
    ASSIGN_OR_RETURN(layer->post_feed_forward_norm, reader.norm(block + "post_ffw_norm", spec.width));
  }
  TRY(read_layer_inputs(reader, spec, block, &layer->inputs));
  TRY(read_streams(reader, spec, block, &layer->streams));
  if (const std::string scale = block + "layer_output_scale.weight"; reader.has(scale)) {
    ASSIGN_OR_RETURN(layer->output_scale, reader.repeated(scale, spec.width));
  }
  return {};
}

bool is_of_experts(std::string_view tensor) {
  if (tensor.ends_with("_exps.weight")) return true;
  if (!tensor.ends_with(".weight")) return false;
  tensor.remove_suffix(std::string_view(".weight").size());  // "blk.0.ffn_up.7"
  const size_t number = tensor.find_last_not_of("0123456789");
  return number != std::string_view::npos && number + 1 < tensor.size() && tensor[number] == '.';
}

namespace {

Status read_shared_expert(TensorReader& reader, const Spec& spec, const std::string& block, LayerWeights* layer) {
  const uint32_t inner = spec.shared_feed_forward;
  if (inner == 0) return {};
  if (spec.gated) {
    ASSIGN_OR_RETURN(layer->shared_gate, reader.linear(block + "ffn_gate_shexp", inner, spec.width));
  }
  ASSIGN_OR_RETURN(layer->shared_up, reader.linear(block + "ffn_up_shexp", inner, spec.width));
  ASSIGN_OR_RETURN(layer->shared_down, reader.linear(block + "ffn_down_shexp", spec.width, inner));
  if (const std::string share = block + "ffn_gate_inp_shexp.weight"; reader.has(share)) {
    ASSIGN_OR_RETURN(layer->shared_share, reader.matrix(share, 1, spec.width));
  }
  return {};
}

}  // namespace

namespace {

// What stands beside the experts, with the norms before and behind both.
Status read_dense_beside(TensorReader& reader, const Spec& spec, uint32_t index, const std::string& block,
                         LayerWeights* layer) {
  TRY(read_dense(reader, spec, index, block, layer));
  const float factor = 1 / std::sqrt(static_cast<float>(spec.width));
  ASSIGN_OR_RETURN(layer->router_norm, reader.vector(block + "ffn_gate_inp.scale", spec.width, factor));
  ASSIGN_OR_RETURN(layer->dense_post_norm, reader.norm(block + "post_ffw_norm_1", spec.width));
  ASSIGN_OR_RETURN(layer->experts_norm, reader.norm(block + "pre_ffw_norm_2", spec.width));
  ASSIGN_OR_RETURN(layer->experts_post_norm, reader.norm(block + "post_ffw_norm_2", spec.width));
  ASSIGN_OR_RETURN(layer->post_feed_forward_norm, reader.norm(block + "post_ffw_norm", spec.width));
  return {};
}

}  // namespace

Status read_experts(TensorReader& reader, const Spec& spec, uint32_t index, LayerWeights* layer) {
  if (!has_experts(reader.file(), spec, index)) return {};
  const std::string block = fmt::format("blk.{}.", index);
  const uint32_t inner = spec.expert_feed_forward;
  TRY(read_feed_forward_norm(reader, spec, block, layer));
  ASSIGN_OR_RETURN(layer->router, reader.matrix(block + "ffn_gate_inp.weight", spec.experts, spec.width));
  const uint32_t width = spec.expert_width != 0 ? spec.expert_width : spec.width;
  if (spec.expert_width != 0) {
    ASSIGN_OR_RETURN(layer->expert_down_to, reader.linear(block + "ffn_latent_down", width, spec.width));
    ASSIGN_OR_RETURN(layer->expert_up_from, reader.linear(block + "ffn_latent_up", spec.width, width));
  }
  if (spec.dense_beside_experts) TRY(read_dense_beside(reader, spec, index, block, layer));
  if (spec.gated && !spec.expert_gate_in_up) {
    ASSIGN_OR_RETURN(layer->expert_gate, reader.experts(block + "ffn_gate", spec.experts, inner, width));
  }
  if (spec.expert_gate_in_up) {
    ASSIGN_OR_RETURN(layer->expert_up, reader.experts(block + "ffn_gate_up", spec.experts, 2 * inner, width));
  } else {
    ASSIGN_OR_RETURN(layer->expert_up, reader.experts(block + "ffn_up", spec.experts, inner, width));
  }
  ASSIGN_OR_RETURN(layer->expert_result_scale, reader.optional_vector(block + "ffn_down_exps.scale", spec.experts));
  ASSIGN_OR_RETURN(layer->expert_down, reader.experts(block + "ffn_down", spec.experts, width, inner));
  ASSIGN_OR_RETURN(layer->router_bias, reader.optional_vector(block + "ffn_gate_inp.bias", spec.experts));
  ASSIGN_OR_RETURN(layer->choice_bias, reader.optional_vector(block + "exp_probs_b.bias", spec.experts));
  ASSIGN_OR_RETURN(layer->expert_gate_bias, reader.expert_biases(block + "ffn_gate_exps.bias", spec.experts, inner));
  ASSIGN_OR_RETURN(layer->expert_up_bias, reader.expert_biases(block + "ffn_up_exps.bias", spec.experts, inner));
  ASSIGN_OR_RETURN(layer->expert_down_bias,
                   reader.expert_biases(block + "ffn_down_exps.bias", spec.experts, spec.width));
  return read_shared_expert(reader, spec, block, layer);
}

Status read_embedding(TensorReader& reader, const Spec& spec, Weights* weights) {
  ASSIGN_OR_RETURN(weights->embedding, reader.matrix("token_embd.weight", spec.vocabulary, table_width(spec)));
  if (spec.embedding_width != 0) {
    ASSIGN_OR_RETURN(weights->project_in, reader.linear("project_in", spec.width, spec.embedding_width));
  }
  if (spec.learned_positions) {
    ASSIGN_OR_RETURN(weights->positions, reader.matrix("position_embd.weight", spec.context, spec.width));
  }
  TRY(read_layer_table(reader, spec, weights));
  return read_streams_in(reader, spec, weights);
}

bool has_own_output(const gguf::File& file) {
  return file.tensor("output.weight") != nullptr;
}

Status read_output(TensorReader& reader, const Spec& spec, bool tied, Weights* weights) {
  CHECK(!spec.norms_on_sums || spec.logit_scale == 1);  // the scale is the last norm's
  if (!spec.norms_on_sums) {
    const char* name = reader.has("output_norm.weight") ? "output_norm" : "token_embd_norm";  // the second: LFM 2
    ASSIGN_OR_RETURN(weights->output_norm, reader.norm(name, spec.width, spec.logit_scale));
  }
  if (spec.embedding_width != 0) {
    ASSIGN_OR_RETURN(weights->project_out, reader.linear("project_out", spec.embedding_width, spec.width));
  }
  TRY(read_streams_out(reader, spec, weights));
  if (has_own_output(reader.file())) {
    ASSIGN_OR_RETURN(weights->output, reader.linear("output", spec.vocabulary, table_width(spec)));
  } else if (tied) {
    weights->output.weight = weights->embedding;
  } else {
    ASSIGN_OR_RETURN(weights->output.weight, reader.matrix("token_embd.weight", spec.vocabulary, table_width(spec)));
  }
  return {};
}

Result<Weights> read_weights(TensorReader& reader, const Spec& spec) {
  Weights weights;
  TRY(read_embedding(reader, spec, &weights));
  weights.layers.resize(spec.layers);
  for (uint32_t i = 0; i < spec.layers; ++i) {
    TRY(read_layer(reader, spec, i, &weights.layers[i]));
    TRY(read_experts(reader, spec, i, &weights.layers[i]));
  }
  TRY(read_output(reader, spec, true, &weights));
  TRY(reader.check_all_taken(spec));
  return weights;
}

}  // namespace hearth::models
