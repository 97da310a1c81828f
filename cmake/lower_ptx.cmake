# Rewrites a PTX file for an older ISA version: cmake -DIN=.. -DOUT=.. -DVERSION=8.0 -P lower_ptx.cmake
# The version line changes, and hints that came with newer versions are left out: the pragma
# used_bytes_mask (8.3) tells which bytes of a vector load matter.
file(READ ${IN} text)
string(REGEX REPLACE "\n\\.version [0-9]+\\.[0-9]+\n" "\n.version ${VERSION}\n" lowered "${text}")
if(lowered STREQUAL text AND NOT text MATCHES "\n\\.version ${VERSION}\n")
  message(FATAL_ERROR "${IN} has no .version line")
endif()
string(REGEX REPLACE "\n[ \t]*\\.pragma \"used_bytes_mask [^\n]*" "" lowered "${lowered}")
file(WRITE ${OUT} "${lowered}")
