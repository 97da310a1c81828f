# What `hearth --version --verbose` says of this build: the commit, and the libraries with the versions that it was
# made with. HEARTH_COMMIT says it where there is no repository.
set(HEARTH_COMMIT "" CACHE STRING "The commit that this is built from, where git cannot tell")
set(commit "${HEARTH_COMMIT}")
find_program(HEARTH_GIT git)
if(commit STREQUAL "" AND HEARTH_GIT)
  execute_process(COMMAND ${HEARTH_GIT} -C ${CMAKE_SOURCE_DIR} rev-parse HEAD OUTPUT_VARIABLE commit
    OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  execute_process(COMMAND ${HEARTH_GIT} -C ${CMAKE_SOURCE_DIR} status --porcelain --untracked-files=no
    OUTPUT_VARIABLE changes OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  if(commit AND changes)
    string(APPEND commit ", with changes")
  endif()
endif()
if(commit STREQUAL "")
  set(commit "unknown")
endif()

# (RE2's own .pc file of Debian 12 says 0.0.0.)
execute_process(COMMAND dpkg-query -W -f "\${Version}" libre2-dev OUTPUT_VARIABLE RE2_VERSION ERROR_QUIET)
string(REGEX REPLACE "[+-].*" "" RE2_VERSION "${RE2_VERSION}")
pkg_check_modules(TOMLPLUSPLUS QUIET tomlplusplus)
set(libraries "")
foreach(pair "Boost;${Boost_VERSION}" "CLI11;${CLI11_VERSION}" "fmt;${fmt_VERSION}" "libedit;${EDIT_VERSION}"
    "libutf8proc;${UTF8PROC_VERSION}" "OpenSSL;${OPENSSL_VERSION}" "RE2;${RE2_VERSION}" "spdlog;${spdlog_VERSION}"
    "SQLite;${SQLITE_VERSION}" "toml++;${TOMLPLUSPLUS_VERSION}" "yaml-cpp;${yaml-cpp_VERSION}" "zstd;${ZSTD_VERSION}")
  list(GET pair 0 name)
  list(GET pair 1 version)
  list(APPEND libraries "${name} ${version}")
endforeach()
list(JOIN libraries ", " libraries)
if(HEARTH_STATIC)
  string(APPEND libraries " (static)")
endif()

file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/generated/build_facts.cpp CONTENT
"// Made by cmake/build_facts.cmake.
#include \"cli/build_facts.h\"

namespace hearth::cli {

const char* const kCommit = \"@commit@\";
const char* const kLibraries = \"@libraries@\";

}  // namespace hearth::cli
" @ONLY)
target_sources(hearth_cli PRIVATE ${CMAKE_BINARY_DIR}/generated/build_facts.cpp)
