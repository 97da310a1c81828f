#include "cuda/modules.h"

#include <algorithm>
#include <future>

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

Result<Modules::Loaded> Modules::load_one(const std::string& source) const {
  std::string refused;
  for (const Image* image : candidates(images_, source, chip_.compute_capability)) {
    driver::LoadReport report;
    const std::string content = image->content();
    auto module = driver::Module::load(cuda_, content.c_str(), &report);
    const bool machine_code = image->kind == ImageKind::kMachineCode;
    if (module)
      return Loaded{
          std::move(*module),
          {source, image->kind, image->compute_capability, report.compile_ms, machine_code ? std::string() : refused}};
    // Drivers differ in how they refuse machine code of a newer toolkit; PTX they know.
    const ErrorKind kind = module.error().kind;
    if (kind != ErrorKind::kUnsupported && !(machine_code && kind != ErrorKind::kNoMemory)) return module.error();
    refused = module.error().message;
  }
  if (refused.empty())
    return error(ErrorKind::kUnsupported, "no kernels for compute capability {}: hearth needs 7.5 or newer",
                 capability_text(chip_.compute_capability));
  return error(ErrorKind::kUnsupported,
               "the GPU driver takes neither the machine code nor the PTX of the kernels '{}': {}", source, refused);
}

Status Modules::load(const std::vector<std::string>& sources) {
  std::vector<std::pair<std::string, std::future<Result<Loaded>>>> loads;
  for (const std::string& source : sources) {
    if (modules_.contains(source)) continue;
    loads.emplace_back(source, std::async(std::launch::async, [this, source]() -> Result<Loaded> {
                         const driver::CurrentContext current(context_);
                         TRY(current.status());
                         return load_one(source);
                       }));
  }
  Status status;
  for (auto& [source, load] : loads) {
    Result<Loaded> loaded = load.get();
    if (!loaded && status) status = loaded.error();
    if (!loaded) continue;
    modules_.emplace(source, std::move(loaded->module));
    loaded_.emplace(source, std::move(loaded->image));
  }
  return status;
}

Result<CUfunction> Modules::find(const std::string& source, const std::string& name, uint32_t dynamic_shared_bytes) {
  if (!modules_.contains(source)) {
    ASSIGN_OR_RETURN(Loaded loaded, load_one(source));
    modules_.emplace(source, std::move(loaded.module));
    loaded_.emplace(source, std::move(loaded.image));
  }
  ASSIGN_OR_RETURN(const CUfunction function, modules_.at(source).function(name));
  if (dynamic_shared_bytes <= kPlainShared_bytes) return function;
  const auto set = [&](CUfunction_attribute attribute, uint32_t value) {
    return driver::check(cuda_.cuFuncSetAttribute(function, attribute, static_cast<int>(value)),
                         "preparing a kernel's shared memory");
  };
  TRY(set(CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, dynamic_shared_bytes));
  TRY(set(CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT, 100));  // as plans reckon: all of it
  return function;
}

}  // namespace hearth::cuda
