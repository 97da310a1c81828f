// The weights of a folder as Hugging Face's libraries write them: one safetensors file, or several with an index.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "convert/safetensors.h"

namespace hearth::convert {

class Checkpoint {
 public:
  // Errors: kNotFound (the folder; weights, or a part of them), kUnsupported (weights in another form), kInvalidData
  // (an index that points outside the folder or names what is not there; a tensor in two files), those of
  // SafetensorsFile.
  static Result<Checkpoint> open(const std::string& folder);

  struct Place {
    const SafetensorsFile* file;
    const Safetensor* tensor;
  };
  // file is null if there is none of this name.
  Place find(std::string_view name) const;
  // In the order of files and places.
  const std::vector<Place>& tensors() const { return all_; }
  uint64_t bytes() const;
  Status check() const;

 private:
  Status add(const std::string& path);

  std::vector<std::unique_ptr<SafetensorsFile>> files_;
  std::vector<Place> all_;
  std::unordered_map<std::string_view, Place> by_name_;
};

// The files that an index (model.safetensors.index.json) names, sorted; each lies in the folder itself. Errors:
// kInvalidData.
Result<std::vector<std::string>> parse_index(std::string_view text, const std::string& name);

}  // namespace hearth::convert
