// Loaded modules and their functions.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "sim/cuda/image.h"
#include "sim/cuda/state.h"
#include "sim/exec/launch.h"
#include "sim/ptx/ir.h"

namespace hearth::sim::cuda {

struct LoadedModule {
  std::weak_ptr<Context> context;
  std::shared_ptr<const ptx::Module> code;
  std::vector<exec::Address> variables;  // of code->variables
  std::size_t variable_bytes = 0;
  int binary_version = 0;
  bool unloaded = false;
};

struct LoadedFunction {
  std::shared_ptr<LoadedModule> module;
  std::shared_ptr<const exec::Program> program;
  int max_dynamic_shared = 0;  // bytes that a launch may ask for; 48 KiB less the static ones until raised
};

void free_variables(const LoadedModule& module, int device);
CUresult load_module(const std::shared_ptr<Context>& context, const Choice& choice, std::string& log,
                     std::shared_ptr<LoadedModule>& module);

}  // namespace hearth::sim::cuda
