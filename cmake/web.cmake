# The page that the server shows browsers: web/, built by npm in the build folder, compressed and embedded. Without npm,
# or where its packages cannot be had, a page of a few lines that says so (web/plain.html).
find_program(HEARTH_NPM npm)
if(NOT HEARTH_NPM)
  message(STATUS "npm is not there: browsers get a page that says so, in place of hearth's (apt install npm)")
endif()
file(GLOB_RECURSE web_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/web/src/* ${CMAKE_SOURCE_DIR}/web/*.html)
list(APPEND web_sources ${CMAKE_SOURCE_DIR}/web/package.json ${CMAKE_SOURCE_DIR}/web/package-lock.json
  ${CMAKE_SOURCE_DIR}/web/tsconfig.json ${CMAKE_SOURCE_DIR}/web/vite.config.ts)
set(page_folder ${CMAKE_BINARY_DIR}/page)
add_custom_command(OUTPUT ${page_folder}/page.S ${page_folder}/page_files.cpp
  COMMAND ${CMAKE_COMMAND} -DSOURCE=${CMAKE_SOURCE_DIR}/web -DFOLDER=${page_folder} -DNPM=${HEARTH_NPM}
    -P ${CMAKE_SOURCE_DIR}/cmake/build_page.cmake
  DEPENDS ${web_sources} ${CMAKE_SOURCE_DIR}/cmake/build_page.cmake COMMENT "Building the page" VERBATIM)
enable_language(ASM)
target_sources(hearth_serve PRIVATE ${page_folder}/page.S ${page_folder}/page_files.cpp)
