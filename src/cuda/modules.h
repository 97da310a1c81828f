// The embedded kernels, loaded into a context: machine code where the driver takes it, else PTX, which the
// driver compiles and keeps for later starts.
#pragma once

#include <atomic>
#include <future>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "base/result.h"
#include "cuda/cuda_device.h"
#include "cuda/images.h"
#include "cuda/launch.h"
#include "driver/handles.h"

namespace hearth::cuda {

// What became of one file of kernels.
struct LoadedImage {
  std::string source;
  ImageKind kind = ImageKind::kPtx;
  int compute_capability = 0;
  int toolkit = 0;       // see Image
  float compile_ms = 0;  // the driver's own compilation
  std::string refused;   // why machine code was not taken; empty if it was, or if there is none
};

// Of one context, for all that use it: safe on any thread.
class Modules final : public Kernels {
 public:
  // Nothing is loaded yet. The context must outlive this.
  Modules(const driver::Cuda& cuda, const driver::Context& context, const Chip& chip, std::span<const Image> images,
          CompileProgress compiling = {})
      : cuda_(cuda), context_(context), chip_(chip), images_(images), compiling_(std::move(compiling)) {}

  // Loads files of kernels, several at once: compilers take seconds for some. What takes longer is told to the log as
  // well. Errors: kUnsupported if one has no image that this driver and GPU take, naming the reason. `compiling` is
  // told in place of the one that is told otherwise.
  Status load(const std::vector<std::string>& sources) { return load(sources, compiling_); }
  Status load(const std::vector<std::string>& sources, const CompileProgress& compiling);

  const Chip& chip() const override { return chip_; }
  Result<CUfunction> find(const std::string& source, const std::string& name,
                          uint32_t dynamic_shared_bytes = 0) override {
    return find(source, name, dynamic_shared_bytes, compiling_);
  }
  Result<CUfunction> find(const std::string& source, const std::string& name, uint32_t dynamic_shared_bytes,
                          const CompileProgress& compiling);

  std::map<std::string, LoadedImage> loaded() const;  // by source

 private:
  struct Loaded {
    driver::Module module;
    LoadedImage image;
  };
  using Load = std::future<Result<Loaded>>;
  // `compiles` becomes true before the driver's compiler is asked.
  Result<Loaded> load_one(const std::string& source, std::atomic<bool>& compiles) const;
  Status load_missing(const std::vector<std::string>& sources, const CompileProgress& compiling);  // under the mutex
  static void wait_for(std::span<const Load> loads, const std::atomic<bool>& compiles,
                       const CompileProgress& compiling);
  void tell(const LoadedImage& image);

  const driver::Cuda& cuda_;
  const driver::Context& context_;
  const Chip chip_;
  const std::span<const Image> images_;
  const CompileProgress compiling_;
  mutable std::mutex mutex_;
  std::map<std::string, driver::Module> modules_;
  std::map<std::string, LoadedImage> loaded_;
  bool told_refusal_ = false;
};

// The modules of a context for one of those that use it, who is told when the driver compiles for it.
class ModulesView final : public Kernels {
 public:
  ModulesView(Modules& modules, CompileProgress compiling) : modules_(modules), compiling_(std::move(compiling)) {}

  Status load(const std::vector<std::string>& sources) { return modules_.load(sources, compiling_); }
  const Chip& chip() const override { return modules_.chip(); }
  Result<CUfunction> find(const std::string& source, const std::string& name,
                          uint32_t dynamic_shared_bytes = 0) override {
    return modules_.find(source, name, dynamic_shared_bytes, compiling_);
  }
  std::map<std::string, LoadedImage> loaded() const { return modules_.loaded(); }

 private:
  Modules& modules_;
  const CompileProgress compiling_;
};

// The images of one source in the order in which to try them on a GPU of this compute capability.
std::vector<const Image*> candidates(std::span<const Image> images, std::string_view source, int compute_capability);

}  // namespace hearth::cuda
