#include "fleet/model_defaults.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

namespace hearth::fleet {
namespace {

// Options of Ollama that say how its engine loads or computes: they change no answer, and mean nothing here.
bool is_without_effect(std::string_view name) {
  constexpr std::string_view kNames[] = {"num_ctx" /* load_model() has heeded it */,
                                         "num_keep",
                                         "num_batch",
                                         "num_gpu",
                                         "main_gpu",
                                         "num_thread",
                                         "use_mmap",
                                         "use_mlock",
                                         "numa",
                                         "low_vram",
                                         "f16_kv",
                                         "logits_all",
                                         "vocab_only",
                                         "embedding_only",
                                         "penalize_newline",
                                         "draft_num_predict"};
  return std::ranges::find(kNames, name) != std::end(kNames);
}

bool set_leniently(sampling::Options& options, const std::string& name, const std::string& value) {
  if (sampling::set(options, name, value)) return true;
  double number = 0;
  const char* end = value.data() + value.size();
  const auto [at, code] = std::from_chars(value.data(), end, number);
  return code == std::errc() && at == end &&
         sampling::set(options, name, fmt::format("{:.0f}", std::trunc(number))).ok();
}

}  // namespace

std::vector<std::string> apply_model_parameters(const store::Parameters& parameters, sampling::Options& options) {
  std::vector<std::string> ignored;
  for (const auto& [name, value] : parameters)
    if (!is_without_effect(name) && !set_leniently(options, name, value))
      ignored.push_back(fmt::format("{} {}", name, value));
  return ignored;
}

}  // namespace hearth::fleet
