// Models that other programs have put on this machine. Nothing is written.
//
// Where they are (documentation and sources of each, 2026): Ollama's folders, see ollama_models.h; Hugging Face:
// $HF_HUB_CACHE, $HF_HOME/hub or ~/.cache/huggingface/hub; LM Studio: ~/.lmstudio/models, ~/.cache/lm-studio/models;
// llama.cpp: $LLAMA_CACHE or ~/.cache/llama.cpp; GPT4All: ~/.local/share/nomic.ai/GPT4All, ~/.cache/gpt4all.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace hearth::store {

struct FoundModel {
  enum class Kind {
    kGguf,         // one file, which can become a blob
    kParts,        // a split set, which is joined
    kSafetensors,  // a folder, which "hearth create" converts
    kStore,        // of another store like ours
  };
  Kind kind = Kind::kGguf;
  std::string program;    // "LM Studio"
  std::string name;       // that it gets here: "hf.co/org/repo:Q4_K_M"
  std::string path;       // the file, the first of a set, the folder, or the store
  std::string projector;  // a vision encoder beside it; empty: none
  uint64_t bytes = 0;     // of its weights
};

// $NAME, or nothing.
using Environment = std::function<std::optional<std::string>(const std::string& name)>;
std::optional<std::string> process_environment(const std::string& name);

// `own`: the store's folder, whose models are not listed. Sorted by program and name; no file twice. What cannot be
// read is left out.
std::vector<FoundModel> find_models(const std::string& own, const Environment& environment);

// All large files in these programs' folders, by their real paths, each once: what may be equal to a blob.
std::vector<std::string> find_weights(const Environment& environment);

// "Qwen2.5-7B-Instruct-Q4_K_M.gguf" as {"Qwen2.5-7B-Instruct", "Q4_K_M"}; the second is "latest" where a name tells
// none. Both can be parts of a model's name.
struct NameAndTag {
  std::string name, tag;
};
NameAndTag split_file_name(std::string_view file_name);

}  // namespace hearth::store
