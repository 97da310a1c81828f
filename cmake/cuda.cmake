# The CUDA kernels: src/cuda/kernels/*.cu -> PTX -> checked by ptxas -> embedded in the binary.
#
# PTX is made for the compute capabilities that a file names in a line "// hearth-targets: 75 80" (75 if there
# is none): several where a kernel uses what only newer GPUs have; the device takes the newest that fits.
# nvcc stamps PTX with its own ISA version, which only its own generation of drivers accepts: the stamp is
# lowered to HEARTH_PTX_VERSION, and ptxas proves for each of HEARTH_CUDA_TARGETS that this is legal. Its
# machine code is embedded as well. Both are compressed: PTX to a tenth. Drivers older than ptxas refuse its machine code,
# so that with HEARTH_OLD_PTXAS an older one makes some for them too.
#
# Adds the table of images (src/cuda/images.h) to hearth_cuda; without nvcc or with -DHEARTH_CUDA=OFF it is empty.

# Who builds hearth runs it here: machine code for the GPUs of this machine, none without any. (It would be the same in a
# sanitized build, and the simulated driver runs PTX.)
set(default_targets "")
find_program(HEARTH_NVIDIA_SMI nvidia-smi)
if(HEARTH_NVIDIA_SMI AND NOT HEARTH_SANITIZE)
  execute_process(COMMAND ${HEARTH_NVIDIA_SMI} --query-gpu=compute_cap --format=csv,noheader
    OUTPUT_VARIABLE capabilities ERROR_QUIET TIMEOUT 20)
  string(REGEX MATCHALL "[0-9]+\\.[0-9]" capabilities "${capabilities}")
  foreach(capability IN LISTS capabilities)
    string(REPLACE "." "" capability ${capability})
    if(capability GREATER_EQUAL 75)
      list(APPEND default_targets ${capability})
    endif()
  endforeach()
  if("90" IN_LIST default_targets)
    list(APPEND default_targets 90a)
  endif()
  list(REMOVE_DUPLICATES default_targets)
endif()
set(HEARTH_CUDA_TARGETS "${default_targets}" CACHE STRING
  "Compute capabilities to make machine code for (a release: 75;80;86;89;90;90a;100;120)")
set(HEARTH_OLD_PTXAS "" CACHE FILEPATH "A ptxas of CUDA 11.8 or 12, for machine code that drivers before 580 take")
# ISA 8.0 is that of CUDA 12.0, whose driver branch is 525.
set(HEARTH_PTX_VERSION 8.0)
# Newest GPUs that CUDA 11.8 knows, and its ISA.
set(old_newest_target 90)
set(old_ptx_version 7.8)

pkg_check_modules(ZSTD REQUIRED IMPORTED_TARGET libzstd)
target_link_libraries(hearth_cuda PUBLIC PkgConfig::ZSTD)

# The major version of the toolkit that a ptxas is of.
function(ptxas_major ptxas out)
  execute_process(COMMAND ${ptxas} --version OUTPUT_VARIABLE text COMMAND_ERROR_IS_FATAL ANY)
  if(NOT text MATCHES "release ([0-9]+)\\.")
    message(FATAL_ERROR "${ptxas} does not say what toolkit it is of")
  endif()
  set(${out} ${CMAKE_MATCH_1} PARENT_SCOPE)
endfunction()

set(cuda_folder ${CMAKE_BINARY_DIR}/cuda)
file(MAKE_DIRECTORY ${cuda_folder})
set(cuda_sources "")
if(HEARTH_CUDA)
  find_program(HEARTH_NVCC nvcc HINTS ENV CUDA_HOME PATHS /usr/local/cuda/bin)
else()
  set(HEARTH_NVCC "")
endif()
if(HEARTH_NVCC)
  get_filename_component(cuda_bin ${HEARTH_NVCC} DIRECTORY)
  find_program(HEARTH_PTXAS ptxas HINTS ${cuda_bin} REQUIRED)
  ptxas_major(${HEARTH_PTXAS} ptxas_toolkit)
  if(HEARTH_OLD_PTXAS)
    ptxas_major(${HEARTH_OLD_PTXAS} old_ptxas_toolkit)
    if(NOT old_ptxas_toolkit LESS ptxas_toolkit)
      message(FATAL_ERROR "HEARTH_OLD_PTXAS is of CUDA ${old_ptxas_toolkit}, which is not older than nvcc's ${ptxas_toolkit}")
    endif()
  endif()
  enable_language(ASM)
  file(GLOB cuda_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/cuda/kernels/*.cu)
else()
  message(STATUS "Building without CUDA kernels: no nvcc, or HEARTH_CUDA is off")
endif()
set(cuda_compiler_launcher ${CMAKE_CXX_COMPILER_LAUNCHER})
set(cuda_warnings --Werror all-warnings -Xcudafe --display_error_number)

set(image_assembly "/* Made by cmake/cuda.cmake. */\n.section .note.GNU-stack,\"\",%progbits\n.section .rodata\n")
set(image_externs "")
set(image_rows "")
set(image_files "")

# One image of the table: `symbol` holds the compressed bytes of `file`.
macro(add_cuda_image symbol file source capability exact kind toolkit)
  add_custom_command(OUTPUT ${file}.zst
    COMMAND ${CMAKE_COMMAND} -DIN=${file} -DOUT=${file}.zst -P ${CMAKE_SOURCE_DIR}/cmake/compress.cmake
    DEPENDS ${file} ${CMAKE_SOURCE_DIR}/cmake/compress.cmake COMMENT "Compressing ${symbol}" VERBATIM)
  string(APPEND image_assembly ".balign 16\n.globl ${symbol}\n.globl ${symbol}_end\n${symbol}:\n"
    ".incbin \"${file}.zst\"\n${symbol}_end:\n")
  string(APPEND image_externs "extern \"C\" const char ${symbol}[], ${symbol}_end[];\n")
  string(APPEND image_rows
    "    {\"${source}\", ${capability}, ${exact}, ImageKind::${kind}, ${toolkit}, ${symbol}, ${symbol}_end},\n")
  list(APPEND image_files ${file}.zst)
endmacro()

# PTX of `source` for `capability`, lowered. (ccache keeps what is compiled with -c; nvcc takes no notice beside --ptx.)
function(add_cuda_ptx source name capability)
  set(raw ${cuda_folder}/${name}_${capability}.raw.ptx)
  set(ptx ${cuda_folder}/${name}_${capability}.ptx)
  add_custom_command(OUTPUT ${ptx}
    COMMAND ${cuda_compiler_launcher} ${HEARTH_NVCC} --ptx -c -arch=compute_${capability} -std=c++20 -O3
      -I${CMAKE_SOURCE_DIR}/src ${cuda_warnings} -MD -MF ${ptx}.d -MT ${ptx} -o ${raw} ${source}
    COMMAND ${CMAKE_COMMAND} -DIN=${raw} -DOUT=${ptx} -DVERSION=${HEARTH_PTX_VERSION}
      -P ${CMAKE_SOURCE_DIR}/cmake/lower_ptx.cmake
    DEPENDS ${source} ${CMAKE_SOURCE_DIR}/cmake/lower_ptx.cmake
    DEPFILE ${ptx}.d
    COMMENT "CUDA ${name} for ${capability}" VERBATIM)
endfunction()

function(add_cuda_machine_code name ptx_capability target)
  set(ptx ${cuda_folder}/${name}_${ptx_capability}.ptx)
  set(cubin ${cuda_folder}/${name}_${target}.cubin)
  add_custom_command(OUTPUT ${cubin}
    COMMAND ${HEARTH_PTXAS} -arch=sm_${target} -O3 --warn-on-spills -o ${cubin} ${ptx}
    DEPENDS ${ptx} COMMENT "CUDA ${name} machine code ${target}" VERBATIM)
endfunction()

function(add_old_cuda_machine_code name ptx_capability target)
  set(ptx ${cuda_folder}/${name}_${ptx_capability}.ptx)
  set(cubin ${cuda_folder}/${name}_${target}_old.cubin)
  add_custom_command(OUTPUT ${cubin}
    COMMAND ${CMAKE_COMMAND} -DIN=${ptx} -DOUT=${cubin}.ptx -DVERSION=${old_ptx_version}
      -P ${CMAKE_SOURCE_DIR}/cmake/lower_ptx.cmake
    COMMAND ${HEARTH_OLD_PTXAS} -arch=sm_${target} -O3 -o ${cubin} ${cubin}.ptx
    COMMAND ${CMAKE_COMMAND} -E rm ${cubin}.ptx
    DEPENDS ${ptx} ${CMAKE_SOURCE_DIR}/cmake/lower_ptx.cmake
    COMMENT "CUDA ${name} machine code ${target} for older drivers" VERBATIM)
endfunction()

# "90a" counts as 90; such code runs on 9.0 alone.
function(cuda_capability_number capability out)
  string(REGEX REPLACE "[a-z]$" "" number ${capability})
  set(${out} ${number} PARENT_SCOPE)
endfunction()

foreach(source IN LISTS cuda_sources)
  get_filename_component(name ${source} NAME_WE)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${source})
  file(STRINGS ${source} marker REGEX "^// hearth-targets:" LIMIT_COUNT 1)
  string(REGEX MATCHALL "[0-9]+a?" ptx_capabilities "${marker}")
  if(NOT ptx_capabilities)
    set(ptx_capabilities 75)
  endif()
  foreach(capability IN LISTS ptx_capabilities)
    add_cuda_ptx(${source} ${name} ${capability})
    cuda_capability_number(${capability} number)
    set(exact false)
    if(capability MATCHES "a$")
      set(exact true)
    endif()
    add_cuda_image(hearth_image_${name}_ptx_${capability} ${cuda_folder}/${name}_${capability}.ptx ${name} ${number}
      ${exact} kPtx 0)
  endforeach()
  # Machine code for a target comes from the newest PTX that it runs. An "a" target runs that of its own and no other's;
  # a file that has none for it is the plain target's, if there is one.
  foreach(target IN LISTS HEARTH_CUDA_TARGETS)
    cuda_capability_number(${target} target_number)
    set(target_exact false)
    if(target MATCHES "a$")
      set(target_exact true)
      if(NOT target IN_LIST ptx_capabilities AND target_number IN_LIST HEARTH_CUDA_TARGETS)
        continue()
      endif()
    endif()
    set(best "")
    foreach(capability IN LISTS ptx_capabilities)
      cuda_capability_number(${capability} number)
      if(capability STREQUAL target OR (NOT capability MATCHES "a$" AND number LESS_EQUAL target_number))
        set(best ${capability})
      endif()
    endforeach()
    if(best STREQUAL "")
      continue()
    endif()
    add_cuda_machine_code(${name} ${best} ${target})
    add_cuda_image(hearth_image_${name}_machine_${target} ${cuda_folder}/${name}_${target}.cubin ${name} ${target_number}
      ${target_exact} kMachineCode ${ptxas_toolkit})
    if(HEARTH_OLD_PTXAS AND NOT target_exact AND NOT target_number GREATER old_newest_target
       AND NOT best GREATER old_newest_target)
      add_old_cuda_machine_code(${name} ${best} ${target})
      add_cuda_image(hearth_image_${name}_machine_${target}_old ${cuda_folder}/${name}_${target}_old.cubin ${name}
        ${target_number} false kMachineCode ${old_ptxas_toolkit})
    endif()
  endforeach()
endforeach()

if(image_files)
  set(image_table "  static const Image kImages[] = {\n${image_rows}  };\n  return kImages;")
  file(CONFIGURE OUTPUT ${cuda_folder}/images.S CONTENT "${image_assembly}" @ONLY)
  set_source_files_properties(${cuda_folder}/images.S PROPERTIES OBJECT_DEPENDS "${image_files}")
  target_sources(hearth_cuda PRIVATE ${cuda_folder}/images.S)
else()
  set(image_table "  return {};")
endif()
file(CONFIGURE OUTPUT ${cuda_folder}/images.cpp CONTENT
"// Made by cmake/cuda.cmake.
#include \"cuda/images.h\"

${image_externs}
namespace hearth::cuda {

std::span<const Image> embedded_images() {
${image_table}
}

}  // namespace hearth::cuda
" @ONLY)
target_sources(hearth_cuda PRIVATE ${cuda_folder}/images.cpp)
