// A model's vocabulary in the files of Hugging Face's libraries: the inverse of what is tested.
#pragma once

#include <boost/json.hpp>
#include <string>

#include "gguf/file.h"
#include "support/safetensors_writer.h"
#include "support/support.h"

namespace hearth::test {

// The file's vocabulary as a tokenizer.model of SentencePiece.
std::string sentencepiece_model(const gguf::File& file);
// A byte-level one as a tokenizer.json; `pre_tokenizer` is its JSON.
std::string byte_level_json(const gguf::File& file, const boost::json::value& pre_tokenizer, bool ignore_merges);
// The same as a tokenizer.json: of byte pairs with signs for spaces, or unigram.
std::string spaced_json(const gguf::File& file);
std::string unigram_json(const gguf::File& file);

}  // namespace hearth::test
