# Rewrites a PTX file for an older ISA version: cmake -DIN=.. -DOUT=.. -DVERSION=8.0 -P lower_ptx.cmake
# The version line changes, and hints that came with newer versions are left out: the pragma
# used_bytes_mask (8.3) tells which bytes of a vector load matter. Nothing of the folder that it was made in stays.
file(READ ${IN} text)
string(REGEX REPLACE "\n\\.version [0-9]+\\.[0-9]+\n" "\n.version ${VERSION}\n" lowered "${text}")
if(lowered STREQUAL text AND NOT text MATCHES "\n\\.version ${VERSION}\n")
  message(FATAL_ERROR "${IN} has no .version line")
endif()
string(REGEX REPLACE "\n[ \t]*\\.pragma \"used_bytes_mask [^\n]*" "" lowered "${lowered}")
# Names of internal linkage have a hash of the file's whole path: the same from any folder.
string(REGEX REPLACE "(_INTERNAL_|_GLOBAL__N__)[0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f]_" "\\100000000_"
  lowered "${lowered}")
file(WRITE ${OUT} "${lowered}")
