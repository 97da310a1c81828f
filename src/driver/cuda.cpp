#include "driver/cuda.h"

#include <cctype>
#include <cstdlib>
#include <filesystem>
#include <mutex>

#include "base/error.h"
#include "driver/compile_cache.h"
#include "driver/machine.h"
#include "driver/nvml.h"
#include "driver/patience.h"

namespace hearth::driver {
namespace {

Problem cannot_load(const std::string& path, const std::string& loader_says) {
  const bool missing = loader_says.find("No such file or directory") != std::string::npos &&
                       loader_says.starts_with(path);  // else a library that it depends on is missing
  if (missing) return missing_driver(look_at_machine());
  return {0, "driver-library-broken", {"driver-library-broken", {{"loader", loader_says}}}};
}

Problem too_old(int version, const std::string& library) {
  const std::string driver = driver_version_of(library);
  Cause cause{"driver-too-old"};
  cause.detail = fmt::format("({}{}supports CUDA {}, CUDA {} is needed)", driver, driver.empty() ? "it " : " ",
                             cuda_version_text(version), cuda_version_text(kOldestCuda));
  return {0, "driver-too-old", std::move(cause)};
}

Problem not_the_driver(const std::string& symbol, const std::string& library) {
  return {0, "driver-symbol-missing", {"driver-symbol-missing", {{"library", library}, {"symbol", symbol}}}};
}

Problem silent_driver(std::chrono::milliseconds patience) {
  const std::string seconds = fmt::format("{}", std::chrono::duration<double>(patience).count());
  return {0, "driver-does-not-answer", {"driver-does-not-answer", {{"seconds", seconds}}}};
}

// NVML does not heed CUDA_VISIBLE_DEVICES; 0 where there is none.
unsigned gpus_without_regard_to_visibility() {
  unsigned count = 0;
  const auto nvml = Nvml::open();
  return nvml && (*nvml)->nvmlDeviceGetCount(&count) == NVML_SUCCESS ? count : 0;
}

// cuInit()'s failure, with what this process's environment adds to it.
Problem cannot_initialise(CUresult code) {
  Problem problem = problem_of(code);
  const char* visible = std::getenv("CUDA_VISIBLE_DEVICES");
  if ((code != CUDA_ERROR_NO_DEVICE && code != CUDA_ERROR_INVALID_DEVICE) || visible == nullptr) return problem;
  const unsigned hidden = code == CUDA_ERROR_NO_DEVICE ? gpus_without_regard_to_visibility() : 0;
  problem.why.detail = fmt::format("(CUDA_VISIBLE_DEVICES is \"{}\")", visible);
  if (hidden == 0) return problem;
  problem.why.id = "visible-devices-hide-gpu";
  problem.why.detail = fmt::format("(CUDA_VISIBLE_DEVICES is \"{}\", the machine has {})", visible,
                                   hidden == 1 ? "one GPU" : fmt::format("{} GPUs", hidden));
  return problem;
}

// The first function of the table that the library lacks; null if it has all.
const char* resolve(const Library& library, Cuda& cuda) {
  const char* missing = nullptr;
#define CUDA_FUNCTION(name, symbol, parameters)                             \
  cuda.name = reinterpret_cast<decltype(cuda.name)>(library.find(#symbol)); \
  if (cuda.name == nullptr && missing == nullptr) missing = #symbol;
#define CUDA_OPTIONAL(name, symbol, parameters) \
  cuda.name = reinterpret_cast<decltype(cuda.name)>(library.find(#symbol));
#include "driver/cuda_api.def"
  return missing;
}

Result<std::unique_ptr<const Cuda>> fail(Problem problem, Problem* out) {
  if (out != nullptr) *out = problem;
  return caused(ErrorKind::kNoDevice, problem.with_code());
}

}  // namespace

Result<std::unique_ptr<const Cuda>> Cuda::load(const std::string& path, std::chrono::milliseconds patience,
                                               Problem* problem) {
  auto cuda = std::make_unique<Cuda>();
  std::string loader_says;
  if (!cuda->handle_.open(path, loader_says)) return fail(cannot_load(path, loader_says), problem);
  cuda->library = cuda->handle_.file();
  const char* missing = resolve(cuda->handle_, *cuda);
  if (cuda->cuInit == nullptr || cuda->cuDriverGetVersion == nullptr) {
    return fail(not_the_driver(missing, cuda->library), problem);
  }
  // The toolkit's stub tells no version before cuInit() has told what it is.
  const bool told = cuda->cuDriverGetVersion(&cuda->version) == CUDA_SUCCESS;
  if (told && cuda->version < kOldestCuda) return fail(too_old(cuda->version, cuda->library), problem);
  if (missing != nullptr) return fail(not_the_driver(missing, cuda->library), problem);
  cuda->handle_.keep();
  set_compile_cache();
  const auto result = with_patience(patience, [init = cuda->cuInit] { return init(0); });
  if (!result) return fail(silent_driver(patience), problem);
  if (*result != CUDA_SUCCESS) return fail(cannot_initialise(*result), problem);
  if (!told && cuda->cuDriverGetVersion(&cuda->version) != CUDA_SUCCESS) cuda->version = kOldestCuda;
  return std::unique_ptr<const Cuda>(std::move(cuda));
}

Result<const Cuda*> Cuda::open(Problem* problem) {
  static std::mutex mutex;
  static const Cuda* loaded = nullptr;  // never freed: threads may use it until the process has ended
  const std::lock_guard lock(mutex);
  if (loaded == nullptr) {
    ASSIGN_OR_RETURN(auto cuda, load(kLibrary, kPatience, problem));
    loaded = cuda.release();
  }
  return loaded;
}

std::string cuda_version_text(int version) {
  return fmt::format("{}.{}", version / 1000, version % 1000 / 10);
}

std::string driver_version_of(const std::string& library) {
  const std::string name = std::filesystem::path(library).filename().string();
  const size_t so = name.find(".so.");
  if (so == std::string::npos) return {};
  const std::string version = name.substr(so + 4);
  // "1" is the interface's number, not a driver's.
  return version.find('.') != std::string::npos && std::isdigit(static_cast<unsigned char>(version[0])) ? version : "";
}

}  // namespace hearth::driver
