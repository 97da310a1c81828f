# What nearly every file includes is compiled once, for all targets (hearth_precompile). The kernels of src/cpu have flags
# of their own and go without.
# A compiler cache brings the precompiled header back with another time than its source has.
add_compile_options("$<$<COMPILE_LANG_AND_ID:CXX,Clang>:SHELL:-Xclang -fno-pch-timestamp>")
file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/generated/precompiled.cpp CONTENT "// A library needs a source.\n")
add_library(hearth_precompiled OBJECT ${CMAKE_BINARY_DIR}/generated/precompiled.cpp)
target_link_libraries(hearth_precompiled PUBLIC hearth_options fmt::fmt)
target_precompile_headers(hearth_precompiled PRIVATE <algorithm> <array> <atomic> <bit> <charconv> <chrono> <cmath>
  <cstdint> <cstring> <functional> <limits> <map> <memory> <mutex> <optional> <random> <set> <span> <string>
  <string_view> <thread> <utility> <variant> <vector> <fmt/format.h>)

function(hearth_precompile target)
  target_precompile_headers(${target} REUSE_FROM hearth_precompiled)
endfunction()
