# Makes FOLDER/page.S and FOLDER/page_files.cpp of the page in SOURCE, with NPM if there is one; see web.cmake.
cmake_minimum_required(VERSION 3.25)
set(work ${FOLDER}/web)
set(dist ${work}/dist)
file(REMOVE_RECURSE ${work}/src ${dist})
file(COPY ${SOURCE}/ DESTINATION ${work} PATTERN node_modules EXCLUDE PATTERN dist EXCLUDE)

function(npm result)
  execute_process(COMMAND ${NPM} ${ARGN} WORKING_DIRECTORY ${work} OUTPUT_VARIABLE out ERROR_VARIABLE out
    RESULT_VARIABLE code)
  if(NOT code EQUAL 0)
    message("${out}")
  endif()
  set(${result} ${code} PARENT_SCOPE)
endfunction()

set(built FALSE)
if(NPM)
  file(SHA256 ${work}/package-lock.json lock)
  set(installed "")
  if(EXISTS ${FOLDER}/installed)
    file(READ ${FOLDER}/installed installed)
  endif()
  set(failed 0)
  if(NOT installed STREQUAL lock)
    file(REMOVE ${FOLDER}/installed)
    npm(failed ci --prefer-offline --no-audit --no-fund --loglevel=error --ignore-scripts)
    if(failed EQUAL 0)
      file(WRITE ${FOLDER}/installed ${lock})
    else()
      message(WARNING "npm cannot install the page's packages: browsers get a page that says so")
    endif()
  endif()
  if(failed EQUAL 0)
    npm(failed run build)
    if(NOT failed EQUAL 0)
      message(FATAL_ERROR "the page cannot be built")
    endif()
    set(built TRUE)
  endif()
endif()
if(NOT built)
  file(MAKE_DIRECTORY ${dist})
  configure_file(${SOURCE}/plain.html ${dist}/index.html COPYONLY)
endif()

set(type_html "text/html; charset=utf-8")
set(type_js "text/javascript; charset=utf-8")
set(type_css "text/css; charset=utf-8")
set(type_svg "image/svg+xml")
file(GLOB_RECURSE files RELATIVE ${dist} ${dist}/*)
file(MAKE_DIRECTORY ${FOLDER}/packed)
set(assembly "  .section .rodata\n")
set(externs "")
set(rows "")
set(number 0)
set(total 0)
foreach(name IN LISTS files)
  set(packed ${FOLDER}/packed/${number}.gz)
  file(ARCHIVE_CREATE OUTPUT ${packed} PATHS ${dist}/${name} FORMAT raw COMPRESSION GZip COMPRESSION_LEVEL 9)
  file(SIZE ${packed} bytes)
  math(EXPR total "${total} + ${bytes}")
  file(SHA256 ${dist}/${name} hash)
  string(SUBSTRING ${hash} 0 16 hash)
  string(REGEX REPLACE "^.*\\." "" ending ${name})
  if(NOT DEFINED type_${ending})
    message(FATAL_ERROR "the page has a file of an unknown kind: ${name}")
  endif()
  string(APPEND assembly "  .balign 16\n  .globl hearth_page_${number}, hearth_page_${number}_end\n"
    "hearth_page_${number}:\n  .incbin \"${packed}\"\nhearth_page_${number}_end:\n")
  string(APPEND externs "extern \"C\" const char hearth_page_${number}[], hearth_page_${number}_end[];\n")
  string(APPEND rows "    {\"/${name}\", \"${type_${ending}}\", \"\\\"${hash}\\\"\", "
    "{hearth_page_${number}, static_cast<size_t>(hearth_page_${number}_end - hearth_page_${number})}},\n")
  math(EXPR number "${number} + 1")
endforeach()
set(most 256000)
if(total GREATER most)
  message(FATAL_ERROR "the page has ${total} bytes compressed; at most ${most} are wanted")
endif()
message(STATUS "The page: ${number} files, ${total} bytes compressed")
file(WRITE ${FOLDER}/page.S "${assembly}  .section .note.GNU-stack,\"\",@progbits\n")
file(WRITE ${FOLDER}/page_files.cpp "// Made by cmake/build_page.cmake.
#include \"serve/page.h\"

${externs}
namespace hearth::serve {

std::span<const PageFile> page_files() {
  static const PageFile kFiles[] = {
${rows}  };
  return kFiles;
}

}  // namespace hearth::serve
")
