// Any bytes through the readers of what an import reads: headers of safetensors, indexes, tokenizers, configurations of
// every family. The first byte says which.
#include <cstdlib>

#include "convert/checkpoint.h"
#include "convert/family.h"
#include "convert/safetensors.h"
#include "convert/vocabulary.h"
#include "fuzz/seeds.h"
#include "support/safetensors_writer.h"

using namespace hearth;
using namespace hearth::convert;

namespace {

void check(const Vocabulary& vocabulary) {
  if (vocabulary.types.size() != vocabulary.tokens.size()) std::abort();
  if (vocabulary.model != "gpt2" && !vocabulary.model.empty() && vocabulary.scores.size() != vocabulary.tokens.size())
    std::abort();
}

void read_header(std::string_view text) {
  const uint64_t file_bytes = 8 + text.size() + 16;
  const auto tensors = parse_safetensors_header(text, file_bytes, "x");
  if (!tensors) return;
  for (const Safetensor& tensor : *tensors)
    if (tensor.offset > file_bytes || tensor.bytes() > file_bytes - tensor.offset) std::abort();
}

void read_index(std::string_view text) {
  const auto files = parse_index(text, "x");
  if (!files) return;
  for (const std::string& name : *files)
    if (name.find('/') != std::string::npos || name.starts_with('.')) std::abort();
}

// Of a checkpoint that has tables of tokens and nothing else: a family reads its configuration, then finds a tensor
// missing.
const Checkpoint& tables_only() {
  static const Checkpoint checkpoint = [] {
    std::string folder = (std::filesystem::temp_directory_path() / "hearth-fuzz-XXXXXX").string();
    if (::mkdtemp(folder.data()) == nullptr) std::abort();
    test::SafetensorsWriter writer;
    for (const char* name : {"model.embed_tokens.weight", "backbone.embeddings.weight",
                             "transformer.word_embeddings.weight", "transformer.wte.weight"})
      writer.add_f32(name, {4, 8}, std::vector<float>(32, 1));
    for (const char* name : {"model.norm.weight", "backbone.norm_f.weight"})
      writer.add_f32(name, {8}, std::vector<float>(8, 1));
    writer.write(folder + "/model.safetensors");
    auto opened = Checkpoint::open(folder);
    if (!opened) std::abort();
    std::filesystem::remove_all(folder);
    return std::move(*opened);
  }();
  return checkpoint;
}

void read_config(std::string_view text) {
  const auto object = parse_json_object(text, "x");
  if (!object) return;
  const Json config(*object, "x");
  for (const Family* family : RegisterFamily::all()) {
    if (family->fits != nullptr && !family->fits(config)) continue;
    Plan plan(tables_only(), family->architecture, 0, 0);
    const Status described = family->describe(config, plan);
    if (!described && described.error().message.empty()) std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv) {
  fuzz::use_seeds(
      {R"(h{"a":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]},"__metadata__":{"format":"pt"}})",
       R"(i{"weight_map":{"a":"model-00001-of-00002.safetensors","b":"model-00002-of-00002.safetensors"}})",
       R"(j{"model":{"type":"BPE","vocab":{"a":0,"b":1,"ab":2},"merges":["a b"]},"pre_tokenizer":{"type":"ByteLevel",)"
       R"("add_prefix_space":false},"added_tokens":[{"id":3,"content":"<s>","special":true}]})",
       R"(j{"model":{"type":"BPE","vocab":{"a":0,"b":1,"ab":2},"merges":[["a","b"]],"unk_token":"a"},"normalizer":)"
       R"({"type":"Prepend","prepend":"▁"},"post_processor":{"type":"TemplateProcessing","single":)"
       R"([{"SpecialToken":{"id":"a"}},{"Sequence":{"id":"A"}}]}})",
       R"(j{"model":{"type":"Unigram","unk_id":0,"vocab":[["a",-1.5],["b",0]]},"normalizer":{"type":"Precompiled",)"
       R"("precompiled_charsmap":"AAAA"}})",
       std::string("m\x0a\x0a\x0a\x01\x61\x15\x00\x00\x80\x3f\x18\x01\x12\x02\x18\x02\x1a\x02\x18\x01", 21),
       "v{\"a\":0,\"b\":1}", "t#version: 0.2\na b\n",
       R"(c{"num_hidden_layers":2,"hidden_size":8,"intermediate_size":8,"num_attention_heads":2,"num_key_value_heads":1,)"
       R"("max_position_embeddings":64,"vocab_size":4,"num_experts":4,"num_experts_per_tok":2,"num_local_experts":4,)"
       R"("layer_types":["full_attention","sliding_attention"],"rope_parameters":{"rope_type":"yarn","factor":4.0,)"
       R"("mscale":1,"mscale_all_dim":1,"original_max_position_embeddings":32},"text_config":{"model_type":"mistral"}})",
       R"(c{"num_hidden_layers":1,"hidden_size":8,"intermediate_size":8,"num_attention_heads":2,"vocab_size":4,)"
       R"("max_position_embeddings":64,"kv_lora_rank":4,"qk_rope_head_dim":2,"qk_nope_head_dim":2,"v_head_dim":4,)"
       R"("n_routed_experts":4,"num_experts_per_tok":1,"moe_intermediate_size":8,"hybrid_override_pattern":"M*-E",)"
       R"("mamba_num_heads":2,"mamba_head_dim":8,"n_groups":1,"ssm_state_size":4,"num_heads":2,"head_dim":8,)"
       R"("n_group":2,"topk_group":1,"full_attn_idxs":[0],"mrope_section":[1,1,1],"rope_scaling":{"alpha":2}})"},
      argc, argv);
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0]) {
    case 'h':
      read_header(text);
      break;
    case 'i':
      read_index(text);
      break;
    case 'j':
      for (const bool sentencepiece : {false, true})
        if (const auto parsed = parse_tokenizer_json(text, "x", sentencepiece); parsed && !sentencepiece)
          check(parsed->vocabulary);
      break;
    case 'c':
      read_config(text);
      break;
    case 'm':
      if (const auto parsed = parse_sentencepiece(text, "x")) check(*parsed);
      break;
    case 'v':
      if (const auto parsed = parse_byte_level(text, "a b\n", "gpt-2", "x")) check(*parsed);
      break;
    default:
      if (const auto parsed = parse_byte_level(R"({"a":0,"b":1})", text, "gpt-2", "x")) check(*parsed);
  }
  return 0;
}
