# Instruction sets of src/cpu: each kernels_<isa>.cpp is compiled with the flags of its instruction set.
set(avx2_flags -mavx2 -mfma -mf16c -mbmi2)
# g++ 12 takes the undefined vectors inside its own AVX-512 header for uninitialised variables
# (https://gcc.gnu.org/bugzilla/show_bug.cgi?id=105593).
set(avx512_flags ${avx2_flags} -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512vnni
  -Wno-uninitialized -Wno-maybe-uninitialized)
set(amx_flags ${avx512_flags} -mamx-tile -mamx-bf16)
# The unrolled kernels would take a compiler many minutes with UBSan, which sees little in arithmetic on vectors, and
# with ASan's checks inline, each of which is a branch: they are calls here.
if(HEARTH_SANITIZE STREQUAL "address")
  set(sanitized_flags -fno-sanitize=undefined --param=asan-instrumentation-with-call-threshold=0)
elseif(HEARTH_FUZZERS)
  set(sanitized_flags -fno-sanitize=undefined,fuzzer-no-link -mllvm
    -asan-instrumentation-with-call-threshold=0)
endif()
foreach(isa generic avx2 avx512 amx)
  set_source_files_properties(${CMAKE_SOURCE_DIR}/src/cpu/kernels_${isa}.cpp PROPERTIES
    COMPILE_OPTIONS "${${isa}_flags};${sanitized_flags}" SKIP_PRECOMPILE_HEADERS ON)
endforeach()
