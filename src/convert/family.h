// One family of models of Hugging Face: one file in this folder defines one of these and registers it.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "base/registry.h"
#include "convert/json_file.h"
#include "convert/plan.h"

namespace hearth::convert {

struct Family {
  std::vector<std::string_view> classes;  // as config.json names them under "architectures": "LlamaForCausalLM"
  const char* architecture;               // of the GGUF file: "llama"
  // Sets the file's keys and names every tensor. Errors: as Plan's; kUnsupported (a behaviour, by its key).
  Status (*describe)(const Json& config, Plan& plan);
  // Which of the families with one class it is; null: there is one.
  bool (*fits)(const Json& config) = nullptr;
};
using RegisterFamily = Register<Family>;

// Null if there is none.
const Family* find_family(std::string_view class_name, const Json& config);
// Of all families, sorted.
std::vector<std::string_view> all_classes();

}  // namespace hearth::convert
