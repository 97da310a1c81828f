// Metadata of an encoder, checked, so that what follows can trust the numbers.
// Keys: https://github.com/ggml-org/llama.cpp/blob/master/gguf-py/gguf/constants.py (Keys.Clip, Keys.ClipVision)
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "gguf/file.h"

namespace hearth::vision {

class Keys {
 public:
  explicit Keys(const gguf::File& file) : file_(file) {}

  const gguf::File& file() const { return file_; }
  // "patch_size" stands for clip.vision.patch_size.
  const gguf::Value* find(const std::string& key) const { return file_.find("clip.vision." + key); }
  bool flag(const std::string& key) const { return file_.bool_or("clip." + key, false); }
  // Missing or out of range: kInvalidData naming file and key.
  Result<uint32_t> count(const std::string& key, uint32_t least, uint32_t most) const;
  Result<uint32_t> count_or(const std::string& key, uint32_t fallback, uint32_t least, uint32_t most) const;
  // An array of integers; empty if absent. So many at most.
  Result<std::vector<uint32_t>> counts(const std::string& key, size_t size, uint32_t most) const;
  Result<std::vector<float>> numbers(const std::string& key, size_t size) const;
  Result<float> number(const std::string& key, double least, double most) const;

  // The values of a tensor of so many, on the host.
  Result<std::vector<float>> values(const std::string& tensor, uint64_t size) const;
  bool has(const std::string& tensor) const { return file_.tensor(tensor) != nullptr; }

 private:
  Error invalid(const std::string& key, const std::string& why) const;
  const gguf::File& file_;
};

// clip.projector_type, clip.vision.projector_type, or what files without either are; empty: no encoder of pictures.
std::string projector_of(const gguf::File& file);

}  // namespace hearth::vision
