// Where the driver keeps the kernels that its compiler made. By itself it takes ~/.nv/ComputeCache, and so nothing
// where there is no HOME, as for many services: then kernels are compiled at every start. (CUDA C++ Programming Guide,
// "CUDA Environment Variables".)
#pragma once

#include <string>

namespace hearth::driver {

// The folder that CUDA_CACHE_PATH should name; empty: the driver finds one, or there is none. Looks at CUDA_CACHE_PATH,
// HOME, and then at CACHE_DIRECTORY (systemd's CacheDirectory=) and XDG_CACHE_HOME.
std::string compile_cache_folder();

// Tells the driver. Before cuInit(), while no other thread reads the environment.
void set_compile_cache();

}  // namespace hearth::driver
