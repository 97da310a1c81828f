// A loaded encoder of pictures: from pixels to what stands in a prompt in their place. Its file is one of its own
// (mmproj-*.gguf, a layer of an Ollama model), or the text model's.
#pragma once

#include <memory>
#include <span>

#include "device/device.h"
#include "gguf/file.h"
#include "vision/family.h"

namespace hearth::vision {

// What it takes of a device: weights, and a run over its largest views, or over as many small ones as go together.
struct Memory {
  uint64_t weights = 0, run = 0;
  uint64_t total() const { return weights + run; }
};

// Whether a file holds an encoder of pictures.
bool has_encoder(const gguf::File& file);

// So many rows of several views go through an encoder together: enough for products of matrices to be at their speed,
// and no more, since each view has to wait for all.
inline constexpr uint32_t kRows_together = 1024;

class Encoder {
 public:
  using Embeddings = Result<std::vector<float>>;

  // `bound`: how long a step may take now (vision/pace.h); none: any time. Errors: kUnsupported (a kind that is not
  // known, naming it and those that are; a tensor that nothing reads), kInvalidData, kNoMemory, kDeviceLost. The device
  // serves nothing else, and must outlive the encoder.
  static Result<std::unique_ptr<Encoder>> load(std::shared_ptr<const gguf::File> file, device::Device& device,
                                               std::function<std::chrono::nanoseconds()> bound = {});
  // What load() on a device of this kind takes.
  static Result<Memory> estimate(const gguf::File& file, const device::Sizing& sizing);
  // What stands in a prompt in the place of a picture, with zeros for embeddings, of so many values each: no weights
  // are needed for that.
  struct Outline {
    std::vector<Piece> pieces;
    uint32_t values = 0;
  };
  static Result<Outline> outline(const gguf::File& file, const image::Picture& picture);
  ~Encoder();

  const Spec& spec() const;
  uint32_t width() const { return spec().out; }  // of the text model
  uint32_t deep() const;                         // features behind each embedding, of that width
  bool see_each_other() const;                   // the tokens of one picture, in the text model

  // The views that it sees of a picture. Any thread.
  Views prepare(const image::Picture& picture) const;
  // Rows of a view within the encoder, which add up where views go together. Any thread.
  uint32_t rows_of(const image::Picture& view) const;
  // The embeddings of views, (1 + deep()) * width() values each, in one pass over the weights; to the bit what they are
  // alone. One thread at a time. Errors, of each view: kUnsupported (of a size that the encoder has no positions for),
  // kNoMemory, kDeviceLost.
  std::vector<Embeddings> encode(std::span<const image::Picture* const> views);
  Embeddings encode(const image::Picture& view);
  // What stands in a prompt: the embeddings of the views, and what belongs between.
  std::vector<Piece> assemble(const Views& views, std::vector<std::vector<float>> embeddings) const;

  // So far: passes over the weights, and steps of all that it did.
  uint64_t passes() const;
  uint64_t steps() const;
  uint64_t run_bytes() const;  // of device memory beside the weights, that the last pass took

 private:
  struct Impl;
  explicit Encoder(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace hearth::vision
