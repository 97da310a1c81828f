// Encoders in files that Ollama's own converter wrote: text and pictures in one, tensors and keys with names of its
// own. (https://github.com/ollama/ollama: convert/, llama/compat/)
#pragma once

#include <memory>
#include <string>

#include "gguf/file.h"

namespace hearth::vision {

// What llama.cpp calls the kind of encoder in such a file; where none of hearth's families is meant, the architecture;
// empty: it is no such file, or one without an encoder.
std::string projector_of_ollama(const gguf::File& file);

// Whether an encoder's tensors are as the models' authors have them: heads whose halves turn, where llama.cpp's files
// have neighbours turn.
bool is_of_ollama(const gguf::File& file);

// The file as llama.cpp's converter would have written it; any other file as it is.
std::shared_ptr<const gguf::File> with_usual_names(const gguf::File& file);

}  // namespace hearth::vision
