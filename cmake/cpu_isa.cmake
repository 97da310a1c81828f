# Instruction sets of src/cpu: each kernels_<isa>.cpp is compiled with the flags of its instruction set.
set_source_files_properties(${CMAKE_SOURCE_DIR}/src/cpu/kernels_avx2.cpp PROPERTIES COMPILE_OPTIONS
  "-mavx2;-mfma;-mf16c;-mbmi2;-O3")
set_source_files_properties(${CMAKE_SOURCE_DIR}/src/cpu/kernels_avx512.cpp PROPERTIES COMPILE_OPTIONS
  "-mavx512f;-mavx512bw;-mavx512dq;-mavx512vl;-mavx512vnni;-mavx512bf16;-mavx2;-mfma;-mf16c;-mbmi2;-O3")
