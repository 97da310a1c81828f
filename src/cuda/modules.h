// The embedded kernels, loaded into a context: machine code where the driver takes it, else PTX, which the
// driver compiles.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/result.h"
#include "cuda/images.h"
#include "cuda/launch.h"
#include "driver/handles.h"

namespace hearth::cuda {

// What became of one file of kernels.
struct LoadedImage {
  std::string source;
  ImageKind kind = ImageKind::kPtx;
  int compute_capability = 0;
  float compile_ms = 0;  // the driver's own compilation
  std::string refused;   // why machine code was not taken; empty if it was, or if there is none
};

class Modules final : public Kernels {
 public:
  // The context must be current. Errors: kUnsupported if some file has no image that this driver and GPU take,
  // naming the reason; kUnsupported too if this build has no kernels.
  static Result<Modules> load(const driver::Cuda& cuda, const Chip& chip, std::span<const Image> images);

  const Chip& chip() const override { return chip_; }
  CUfunction find(std::string_view name, uint32_t dynamic_shared_bytes = 0) const override;
  CUfunction find_optional(std::string_view name, uint32_t dynamic_shared_bytes = 0) const override;

  // Whether the driver failed in a search; then what was searched is null, also from find().
  Status status() const { return driver::check(failure_, "looking for a kernel"); }

  const std::vector<LoadedImage>& loaded() const { return loaded_; }

 private:
  const driver::Cuda* cuda_ = nullptr;
  Chip chip_;
  std::vector<driver::Module> modules_;
  std::vector<LoadedImage> loaded_;
  mutable CUresult failure_ = CUDA_SUCCESS;
};

// The images of one source in the order in which to try them on a GPU of this compute capability.
std::vector<const Image*> candidates(std::span<const Image> images, std::string_view source, int compute_capability);

}  // namespace hearth::cuda
