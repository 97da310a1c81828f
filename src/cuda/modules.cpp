#include "cuda/modules.h"

#include <algorithm>
#include <chrono>
#include <optional>
#include <system_error>
#include <tuple>

#include "base/error.h"
#include "base/log.h"

namespace hearth::cuda {
namespace {

using namespace std::chrono_literals;

constexpr auto kInterval = 100ms;  // between two calls of CompileProgress
// When the log is told what takes so long, and from when on and how often those who see only its warnings are.
constexpr double kFirstLog_s = 1, kPatience_s = 10;

// Beyond this much dynamic shared memory a kernel must be told.
constexpr uint32_t kPlainShared_bytes = 48 << 10;

bool runs(const Image& image, int capability) {
  if (image.exact) return image.compute_capability == capability;
  if (image.kind == ImageKind::kMachineCode && image.compute_capability / 10 != capability / 10) return false;
  return image.compute_capability <= capability;
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
    const auto rank = [](const Image& image) {
      return std::tuple(image.kind == ImageKind::kMachineCode, image.compute_capability, image.exact, image.toolkit);
    };
    return rank(*a) > rank(*b);
  });
  return found;
}

Result<Modules::Loaded> Modules::load_one(const std::string& source, std::atomic<bool>& compiles) const {
  std::optional<Error> refused;
  for (const Image* image : candidates(images_, source, chip_.compute_capability)) {
    driver::LoadReport report;
    const std::string content = image->content();
    const bool machine_code = image->kind == ImageKind::kMachineCode;
    if (!machine_code) compiles = true;
    auto module = driver::Module::load(cuda_, content.c_str(), &report);
    if (module) {
      std::string reason = refused && !machine_code ? refused->what() : std::string();
      return Loaded{
          std::move(*module),
          {source, image->kind, image->compute_capability, image->toolkit, report.compile_ms, std::move(reason)}};
    }
    // Drivers differ in how they refuse machine code of a newer toolkit; PTX they know.
    const ErrorKind kind = module.error().kind;
    if (kind != ErrorKind::kUnsupported && !(machine_code && kind != ErrorKind::kNoMemory)) return module.error();
    refused = module.error();
  }
  if (!refused)
    return error(ErrorKind::kUnsupported, "no kernels for compute capability {}: hearth needs 7.5 or newer",
                 capability_text(chip_.compute_capability));
  return error(ErrorKind::kUnsupported,
               "the GPU driver takes neither the machine code nor the PTX of the kernels '{}': {}", source,
               refused->message);
}

Status Modules::load(const std::vector<std::string>& sources, const CompileProgress& compiling) {
  const std::lock_guard lock(mutex_);
  return load_missing(sources, compiling);
}

Status Modules::load_missing(const std::vector<std::string>& sources, const CompileProgress& compiling) {
  std::vector<std::string> wanted;
  std::atomic<bool> compiles = false;
  std::vector<Load> loads;
  for (const std::string& source : sources) {
    if (modules_.contains(source)) continue;
    wanted.push_back(source);
    const auto work = [this, source, &compiles]() -> Result<Loaded> {
      const driver::CurrentContext current(context_);
      TRY(current.status());
      return load_one(source, compiles);
    };
    try {
      loads.push_back(std::async(std::launch::async, work));
    } catch (const std::system_error&) {  // no more threads: one after the other
      loads.push_back(std::async(std::launch::deferred, work));
    }
  }
  wait_for(loads, compiles, compiling);
  Status status;
  for (size_t i = 0; i < loads.size(); ++i) {
    Result<Loaded> loaded = loads[i].get();
    if (!loaded && status) status = loaded.error();
    if (!loaded) continue;
    tell(loaded->image);
    modules_.emplace(wanted[i], std::move(loaded->module));
    loaded_.emplace(wanted[i], std::move(loaded->image));
  }
  return status;
}

void Modules::wait_for(std::span<const Load> loads, const std::atomic<bool>& compiles,
                       const CompileProgress& compiling) {
  const auto is_done = [](const Load& load) { return load.wait_for(0s) == std::future_status::ready; };
  const auto start = std::chrono::steady_clock::now();
  const auto seconds = [&] { return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count(); };
  const auto total = static_cast<uint32_t>(loads.size());
  bool told = false;
  double next_log = kFirstLog_s;
  for (const Load& load : loads) {
    while (load.wait_for(kInterval) == std::future_status::timeout) {
      if (!compiles) continue;
      if (compiling) compiling(static_cast<uint32_t>(std::ranges::count_if(loads, is_done)), total);
      told = true;
      if (seconds() < next_log) continue;
      log_line(
          next_log < kPatience_s ? LogLevel::kInfo : LogLevel::kWarn,
          fmt::format("the GPU driver compiles hearth's kernels for this GPU, which it then keeps for later starts: "
                      "{} of {} files after {:.0f} s",
                      std::ranges::count_if(loads, is_done), total, seconds()));
      next_log = next_log < kPatience_s ? kPatience_s : next_log + kPatience_s;
    }
  }
  if (told && compiling) compiling(total, total);
  if (next_log > kFirstLog_s) log_info("the GPU driver has compiled {} files of kernels in {:.1f} s", total, seconds());
}

// Nothing is lost but time, which every start would take again without the driver's cache.
void Modules::tell(const LoadedImage& image) {
  if (image.refused.empty() || told_refusal_) return;
  log_info("kernels are compiled by the GPU driver, which does not take their machine code: {}", image.refused);
  told_refusal_ = true;
}

std::map<std::string, LoadedImage> Modules::loaded() const {
  const std::lock_guard lock(mutex_);
  return loaded_;
}

Result<CUfunction> Modules::find(const std::string& source, const std::string& name, uint32_t dynamic_shared_bytes,
                                 const CompileProgress& compiling) {
  const std::lock_guard lock(mutex_);
  if (!modules_.contains(source)) TRY(load_missing({source}, compiling));
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
