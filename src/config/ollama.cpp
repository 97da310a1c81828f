#include "config/ollama.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/outside_text.h"
#include "base/text.h"
#include "config/table.h"

namespace hearth::config {
namespace {

struct Note {
  const char* variable;
  const char* text;
};

// Those that Ollama never read (or no longer reads), with what does the job.
constexpr Note kNever_did_anything[] = {
    {"OLLAMA_NUM_GPU", "HEARTH_GPU (auto, require, off), or the option num_gpu of a request"},
    {"OLLAMA_GPU_LAYERS", "HEARTH_GPU (auto, require, off), or the option num_gpu of a request"},
    {"OLLAMA_GPU_MEMORY_FRACTION",
     "nothing: hearth counts bytes and leaves a reserve; CUDA_VISIBLE_DEVICES hides GPUs"},
    {"OLLAMA_MAX_VRAM", "nothing: hearth counts bytes and leaves a reserve; CUDA_VISIBLE_DEVICES hides GPUs"},
    {"OLLAMA_INTEL_GPU", "nothing: GPUs of NVIDIA are used"},
    {"OLLAMA_NEW_ENGINE", "nothing: there is one engine"},
    {"OLLAMA_NEW_ESTIMATES", "nothing: memory is counted exactly"},
    {"OLLAMA_MULTIUSER_CACHE",
     "nothing: equal beginnings of prompts are always shared, but for keys with their own cache"},
    {"OLLAMA_RUNNERS_DIR", "nothing: there are no runners"},
    {"OLLAMA_TMPDIR", "HEARTH_LIMITS_BODY_FOLDER, for the bodies of large requests"},
    {"OLLAMA_LIBRARY_PATH", "LD_LIBRARY_PATH, for the driver's libraries"},
    {"OLLAMA_NUM_THREADS", "HEARTH_THREADS"},
    {"OLLAMA_NUM_THREAD", "HEARTH_THREADS"},
    {"OLLAMA_NUM_CTX", "OLLAMA_CONTEXT_LENGTH or HEARTH_CONTEXT"},
    {"OLLAMA_USE_MMAP", "HEARTH_MMAP (auto, on, off)"},
    {"OLLAMA_FORCE_CPU", "HEARTH_GPU=off"},
    {"OLLAMA_CUDA", "HEARTH_GPU (auto, require, off)"},
    {"OLLAMA_BASE_URL", "OLLAMA_HOST"},
    {"OLLAMA_API_KEY", "HEARTH_API_KEY, for hearth's own commands; \"hearth key add\" makes one for a server"},
    {"OLLAMA_VERSION", "nothing"},
    {"OLLAMA_CORS", "OLLAMA_ORIGINS or HEARTH_ORIGINS"},
};

// Those that Ollama heeds and that mean nothing here.
constexpr Note kWithout_meaning[] = {
    {"OLLAMA_SCHED_SPREAD", "a model that fits one GPU is not spread; what does not fit uses all"},
    {"OLLAMA_GPU_OVERHEAD", "hearth leaves a reserve on every GPU by itself"},
    {"LLAMA_ARG_FIT", "what fits is computed"},
    {"LLAMA_ARG_FIT_TARGET", "hearth leaves a reserve on every GPU by itself"},
    {"OLLAMA_DEBUG_LOG_REQUESTS", "prompts are never written down"},
    {"OLLAMA_IGPU_ENABLE", "every GPU of NVIDIA that can be used is"},
    {"OLLAMA_EXPERIMENT", "there are no experiments"},
    {"OLLAMA_LLAMA_CPP_COMPAT", "files in Ollama's old form are recognised as such"},
};

bool go_true(std::string_view value) {
  const auto is = [&](std::string_view word) { return same_ignoring_case(value, word); };
  return !value.empty() && !is("0") && !is("f") && !is("false");  // any other text counts as true
}

OllamaValue of_debug(const std::string& name, std::string_view value) {
  int level = 0;
  const auto [end, code] = std::from_chars(value.data(), value.data() + value.size(), level);
  const bool number = code == std::errc() && end == value.data() + value.size();
  if (number ? level <= 0 : !go_true(value)) return {};
  return {name, "log", "debug", ""};
}

OllamaValue of_library(const std::string& name, std::string_view value) {
  if (value.starts_with("cuda") || value.starts_with("mlx")) return {};
  return {name, "gpu", "off",
          fmt::format("{} is \"{}\", which is no library for GPUs of NVIDIA: the CPU is used", name, printable(value))};
}

OllamaValue of_flash_attention(const std::string& name, std::string_view value) {
  if (go_true(value)) return {};
  return {name, "", "", name + " is off, but attention never needs the whole matrix here: nothing changes"};
}

}  // namespace

std::vector<OllamaValue> other_ollama_values(const std::map<std::string, std::string>& environment) {
  std::vector<OllamaValue> values;
  const auto value_of = [&](const std::string& name) -> std::string_view {
    const auto at = environment.find(name);
    return at == environment.end() ? std::string_view() : trimmed(at->second);
  };
  const auto add = [&](const char* name, OllamaValue (*become)(const std::string&, std::string_view)) {
    const std::string_view value = value_of(name);
    if (value.empty()) return;
    if (OllamaValue made = become(name, value); !made.variable.empty()) values.push_back(std::move(made));
  };
  add("OLLAMA_DEBUG", of_debug);
  add("OLLAMA_LLM_LIBRARY", of_library);
  add("OLLAMA_FLASH_ATTENTION", of_flash_attention);
  for (const auto& [name, instead] : kNever_did_anything) {
    if (value_of(name).empty()) continue;
    values.push_back(
        {name, "", "", fmt::format("{} does nothing, in Ollama neither; what works is {}", name, instead)});
  }
  for (const auto& [name, why] : kWithout_meaning) {
    if (!value_of(name).empty()) values.push_back({name, "", "", fmt::format("{} has no effect here: {}", name, why)});
  }
  return values;
}

}  // namespace hearth::config
