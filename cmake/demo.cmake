# The demonstration model lies beside the binary; what `hearth selftest` expects of it is inside.
set(demo_model ${CMAKE_SOURCE_DIR}/data/demo.gguf)
add_custom_command(OUTPUT ${CMAKE_BINARY_DIR}/demo.gguf
  COMMAND ${CMAKE_COMMAND} -E copy ${demo_model} ${CMAKE_BINARY_DIR}/demo.gguf DEPENDS ${demo_model})
add_custom_target(demo ALL DEPENDS ${CMAKE_BINARY_DIR}/demo.gguf)

set(selftest_json ${CMAKE_SOURCE_DIR}/data/selftest.json)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${selftest_json})
file(READ ${selftest_json} HEARTH_SELFTEST_JSON)
configure_file(${CMAKE_SOURCE_DIR}/cmake/selftest_json.cpp.in ${CMAKE_BINARY_DIR}/generated/selftest_json.cpp @ONLY)
target_sources(hearth_doctor PRIVATE ${CMAKE_BINARY_DIR}/generated/selftest_json.cpp)

# Answers many prompts at once, for tools/demo-model/evaluate.
add_executable(answer_prompts tools/demo-model/answer_prompts.cpp)
target_link_libraries(answer_prompts PRIVATE ${HEARTH_LIBRARIES})
if(NOT HEARTH_TESTS)
  set_target_properties(answer_prompts PROPERTIES EXCLUDE_FROM_ALL ON)
endif()
