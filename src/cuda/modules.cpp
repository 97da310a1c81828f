#include "cuda/modules.h"

#include <algorithm>
#include <set>

#include "base/error.h"

namespace hearth::cuda {
namespace {

// Beyond this much dynamic shared memory a kernel must be told.
constexpr uint32_t kPlainShared_bytes = 48 << 10;

bool runs(const Image& image, int capability) {
  if (image.kind == ImageKind::kMachineCode)
    return image.compute_capability / 10 == capability / 10 && image.compute_capability <= capability;
  return image.exact ? image.compute_capability == capability : image.compute_capability <= capability;
}

std::string capability_text(int capability) {
  return fmt::format("{}.{}", capability / 10, capability % 10);
}

}  // namespace

std::vector<const Image*> candidates(std::span<const Image> images, std::string_view source, int compute_capability) {
  std::vector<const Image*> found;
  for (const Image& image : images)
    if (image.source == source && runs(image, compute_capability)) found.push_back(&image);
  std::stable_sort(found.begin(), found.end(), [](const Image* a, const Image* b) {
    if (a->kind != b->kind) return a->kind == ImageKind::kMachineCode;
    return a->compute_capability != b->compute_capability ? a->compute_capability > b->compute_capability
                                                          : a->exact && !b->exact;
  });
  return found;
}

Result<Modules> Modules::load(const driver::Cuda& cuda, const Chip& chip, std::span<const Image> images) {
  if (images.empty())
    return error(ErrorKind::kUnsupported,
                 "this build has no CUDA kernels (nvcc was not found when hearth was built): use a build that has "
                 "them, or the CPU (--gpu off)");
  Modules modules;
  modules.cuda_ = &cuda;
  modules.chip_ = chip;
  std::set<std::string_view> sources;
  for (const Image& image : images) sources.insert(image.source);
  for (const std::string_view source : sources) {
    std::string refused;
    bool done = false;
    for (const Image* image : candidates(images, source, chip.compute_capability)) {
      driver::LoadReport report;
      const std::string content = image->content();
      auto module = driver::Module::load(cuda, content.c_str(), &report);
      if (module) {
        modules.modules_.push_back(std::move(*module));
        modules.loaded_.push_back({std::string(source), image->kind, image->compute_capability, report.compile_ms,
                                   image->kind == ImageKind::kPtx ? refused : std::string()});
        done = true;
        break;
      }
      if (module.error().kind != ErrorKind::kUnsupported) return module.error();
      refused = module.error().message;
    }
    if (done) continue;
    if (refused.empty())
      return error(ErrorKind::kUnsupported, "no kernels for compute capability {}: hearth needs 7.5 or newer",
                   capability_text(chip.compute_capability));
    return error(ErrorKind::kUnsupported,
                 "the GPU driver takes neither the machine code nor the PTX of the kernels '{}': {}", source, refused);
  }
  return modules;
}

CUfunction Modules::find_optional(std::string_view name, uint32_t dynamic_shared_bytes) const {
  const std::string text(name);
  for (const driver::Module& module : modules_) {
    CUfunction function = nullptr;
    const CUresult result = cuda_->cuModuleGetFunction(&function, module.get(), text.c_str());
    if (result == CUDA_ERROR_NOT_FOUND) continue;
    if (result != CUDA_SUCCESS) {
      failure_ = result;
      return nullptr;
    }
    if (dynamic_shared_bytes > kPlainShared_bytes)
      (void)cuda_->cuFuncSetAttribute(function, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES,
                                      static_cast<int>(dynamic_shared_bytes));
    return function;
  }
  return nullptr;
}

CUfunction Modules::find(std::string_view name, uint32_t dynamic_shared_bytes) const {
  const CUfunction function = find_optional(name, dynamic_shared_bytes);
  CHECK(function != nullptr || failure_ != CUDA_SUCCESS);
  return function;
}

}  // namespace hearth::cuda
