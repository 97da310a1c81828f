# Build options and the compiler flags that every target shares.
option(HEARTH_TESTS "Build the tests" ON)
option(HEARTH_CUDA "Build the CUDA kernels (needs nvcc)" ON)
option(HEARTH_FUZZERS "Build the libFuzzer targets (needs clang)" OFF)
set(HEARTH_SANITIZE "" CACHE STRING "address (with undefined), thread, or empty")

# The last four warnings of g++ 12 are wrong where it joins strings (https://gcc.gnu.org/bugzilla/show_bug.cgi?id=105651);
# sanitizers see what they were for.
add_library(hearth_options INTERFACE)
target_compile_options(hearth_options INTERFACE -Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion -Werror
  -fno-math-errno
  -Wno-restrict -Wno-array-bounds -Wno-stringop-overread -Wno-stringop-overflow)
target_compile_definitions(hearth_options INTERFACE HEARTH_VERSION="${PROJECT_VERSION}")

if(HEARTH_SANITIZE STREQUAL "address")
  set(sanitize -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
elseif(HEARTH_SANITIZE STREQUAL "thread")
  set(sanitize -fsanitize=thread -fno-omit-frame-pointer)
endif()
if(HEARTH_FUZZERS)
  if(NOT CMAKE_CXX_COMPILER_ID MATCHES Clang)
    message(FATAL_ERROR "HEARTH_FUZZERS needs clang: configure with -DCMAKE_CXX_COMPILER=clang++-14")
  endif()
  # Everything is instrumented; the fuzz targets themselves link libFuzzer (tests/fuzz). Clang's warnings
  # are shown, g++'s decide.
  set(sanitize -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer)
  target_compile_options(hearth_options INTERFACE -Wno-error -Wno-pass-failed -Wno-unknown-warning-option)
endif()
if(sanitize)
  # What an optimiser makes of instrumented code takes it more time than it saves a test; lines, for the reports.
  set(CMAKE_CXX_FLAGS_RELEASE "-O1 -g1 -DNDEBUG")
  # g++ 12 warns falsely of much in instrumented code; the ordinary build's warnings decide.
  target_compile_options(hearth_options INTERFACE ${sanitize} -Wno-error)
  target_link_options(hearth_options INTERFACE ${sanitize})
endif()

find_program(CCACHE ccache)
if(CCACHE)
  # Without this sloppiness ccache keeps nothing that uses a precompiled header
  # (https://ccache.dev/manual/4.8.html#_precompiled_headers); __DATE__ and __TIME__ are used nowhere.
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=pch_defines,time_macros ${CCACHE})
  if(CMAKE_CXX_COMPILER_ID STREQUAL GNU)
    target_compile_options(hearth_options INTERFACE -fpch-preprocess)
  endif()
endif()
