// Any bytes through the readers of what an import reads: headers of safetensors, indexes, tokenizers. The first byte
// says which.
#include <cstdlib>

#include "convert/checkpoint.h"
#include "convert/safetensors.h"
#include "convert/vocabulary.h"
#include "fuzz/seeds.h"

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
       "v{\"a\":0,\"b\":1}", "t#version: 0.2\na b\n"},
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
