// What a GGUF file is to a store: which layer, which of Ollama's words describe it.
#pragma once

#include <boost/json.hpp>
#include <string>
#include <vector>

#include "base/result.h"

namespace hearth::store {

struct WeightsKind {
  std::string layer;  // "model", "projector", "adapter"
  size_t parts = 1;   // files of a split set
};
// `name`: what people call the file. Errors: those of gguf::File::open, in the words of who uploads a file.
Result<WeightsKind> kind_of_weights(const std::string& path, const std::string& name);

// The files of a folder that begin a model: all *.gguf but later parts of split sets, sorted. Errors: kIo.
Result<std::vector<std::string>> gguf_files_of(const std::string& folder);
// Whether a folder is one of Hugging Face, with a config.json beside its weights.
bool is_checkpoint(const std::string& folder);
// Whether such a folder can be made a model of, as far as its config.json tells, with weights in this format (empty: as
// they are). Errors: kUnsupported, kInvalidData; kUsage: there is no such format.
Status check_checkpoint(std::string_view config, const std::string& quantize);
// "model-00002-of-00003.gguf"
bool is_later_part(const std::string& name);

// "F16", for weights that were not quantised before; else kUsage, as quantising twice costs quality.
Result<std::string> quantisable_type(const std::string& path);

// "8.0B", "1.10M", as Ollama writes it.
std::string parameter_count_text(uint64_t parameters);

// Sets model_family, model_families, model_type and file_type; nothing where the file cannot be read.
void describe_weights(const std::string& path, boost::json::object& config);

}  // namespace hearth::store
