// The tokenizer of a folder of Hugging Face: vocabulary, special tokens, chat template.
#pragma once

#include <string>

#include "convert/json_file.h"
#include "convert/plan.h"

namespace hearth::convert {

// Sets the keys tokenizer.* of the file to be. Reads tokenizer.json, tokenizer.model, or vocab.json and merges.txt, and
// tokenizer_config.json, special_tokens_map.json, added_tokens.json, generation_config.json and chat_template.jinja
// where they are there. The vocabulary gets as many tokens as the model has rows for. Errors: kNotFound (no tokenizer),
// kInvalidData, kUnsupported; all name the file.
Status add_tokenizer(const std::string& folder, const Json& config, Plan& plan);

}  // namespace hearth::convert
