// Writes a GGUF model as the folder that Hugging Face's libraries would write: the inverse of what is tested, done here
// from the definitions of the models (names and shapes of transformers' modules).
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "convert/folder.h"

namespace hearth::test {

struct FolderOptions {
  std::string dtype = "F32";  // of matrices: F32, F16, BF16
  size_t files = 1;           // with an index where there are more
};

class ModelFolder;

// How a family's checkpoints differ from those of Llama.
struct Layout {
  std::string prefix = "model.", layers = "layers.";
  std::vector<std::pair<std::string, std::string>> names = {};  // looked at before Llama's: "attn_norm." -> "ln_1."
  bool halves = false;      // rows of q and k: halves of a head, which GGUF has as pairs of neighbours
  bool transposed = false;  // matrices of layers
  float less = 0;           // of norms
  // Writes tensors that are not one for one: `rest` is the name without "blk.0.", `layer` what the checkpoint's names
  // have in place of that. True if it did.
  std::function<bool(ModelFolder& folder, const gguf::Tensor& tensor, const std::string& layer,
                     const std::string& rest)>
      other = {};
};
Layout layout_of(const gguf::File& file);

class ModelFolder {
 public:
  using Shape = std::vector<uint64_t>;  // outermost dimension first

  explicit ModelFolder(const gguf::File& file, FolderOptions options = {});

  // Fields of config.json that follow from the file's keys.
  boost::json::object config() const;
  boost::json::object changed;  // what is written: config() and what a test changes

  void write(const std::filesystem::path& folder);

  // For layouts.
  const gguf::File& file() const { return file_; }
  uint64_t key(const std::string& name) const { return file_.u64_or(architecture_ + "." + name, 0); }
  std::vector<float> values(const std::string& tensor) const;
  void put(const std::string& name, const Shape& shape, const std::vector<float>& data);
  void put_bytes(const std::string& name, const Shape& shape, const std::vector<uint8_t>& data);

 private:
  double number(const char* name) const { return file_.f64_or(architecture_ + "." + name, 0); }
  std::string translated(const std::string& rest, const std::string& layer) const;
  void add(const gguf::Tensor& tensor);
  SafetensorsWriter& next();

  const gguf::File& file_;
  const FolderOptions options_;
  const std::string architecture_;
  const Layout layout_;
  std::vector<SafetensorsWriter> writers_;
  size_t count_ = 0;
};

}  // namespace hearth::test
