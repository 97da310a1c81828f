// A loaded encoder of pictures: from pixels to what stands in a prompt in their place. Its file is one of its own
// (mmproj-*.gguf, a layer of an Ollama model), or the text model's.
#pragma once

#include <memory>

#include "device/device.h"
#include "gguf/file.h"
#include "vision/family.h"

namespace hearth::vision {

// What it takes of a device: weights, and a run over its largest views.
struct Memory {
  uint64_t weights = 0, run = 0;
  uint64_t total() const { return weights + run; }
};

// Whether a file holds an encoder of pictures.
bool has_encoder(const gguf::File& file);

class Encoder {
 public:
  // Errors: kUnsupported (a kind that is not known, naming it and those that are; a tensor that nothing reads),
  // kInvalidData, kNoMemory, kDeviceLost. The device serves nothing else, and must outlive the encoder.
  static Result<std::unique_ptr<Encoder>> load(std::shared_ptr<const gguf::File> file, device::Device& device);
  // What load() on a device of this kind takes.
  static Result<Memory> estimate(const gguf::File& file, const device::Sizing& sizing);
  ~Encoder();

  const Spec& spec() const;
  uint32_t width() const { return spec().out; }  // of the text model
  uint32_t deep() const;                         // features behind each embedding, of that width
  bool see_each_other() const;                   // the tokens of one picture, in the text model

  // The views that it sees of a picture. Any thread.
  Views prepare(const image::Picture& picture) const;
  // The embeddings of one view, (1 + deep()) * width() values each. One thread at a time. Errors: kUnsupported (a view
  // of a size that the encoder has no positions for), kNoMemory, kDeviceLost.
  Result<std::vector<float>> encode(const image::Picture& view);
  // Both, and what belongs between.
  Result<std::vector<Piece>> read(const image::Picture& picture);
  std::vector<Piece> assemble(const Views& views, std::vector<std::vector<float>> embeddings) const;

 private:
  struct Impl;
  explicit Encoder(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace hearth::vision
