# Writes the extern "C" functions that a simulated library exports, from the tables of driver functions. A function of
# a table that the simulator does not define is an undefined reference: the library does not link.
#
#   hearth_sim_exports(OUTPUT TABLE...): OUTPUT (a .inc file) gets, for each NAME(name, symbol, (parameters)) of a
#   table, a call `NAME(name, symbol, (parameters), (arguments))`, where arguments are the parameters' names.
function(hearth_sim_exports output)
  set(text "// Made from: ${ARGN}\n")
  foreach(table IN LISTS ARGN)
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${table})
    file(READ ${table} content)
    string(REGEX REPLACE "//[^\n]*" "" content "${content}")
    string(REGEX MATCHALL "[A-Z_]+\\([A-Za-z0-9_]+,[ \n]*[A-Za-z0-9_]+,[ \n]*\\([^()]*\\)\\)" lines "${content}")
    foreach(line IN LISTS lines)
      string(REGEX MATCH "^([A-Z_]+)\\(([A-Za-z0-9_]+),[ \n]*([A-Za-z0-9_]+),[ \n]*\\(([^()]*)\\)\\)" matched "${line}")
      set(head "${CMAKE_MATCH_1}(${CMAKE_MATCH_2}, ${CMAKE_MATCH_3}, (${CMAKE_MATCH_4})")
      string(REPLACE "," ";" parameters "${CMAKE_MATCH_4}")
      set(arguments "")
      foreach(parameter IN LISTS parameters)
        string(REGEX MATCH "[A-Za-z0-9_]+[ ]*$" name "${parameter}")
        list(APPEND arguments ${name})
      endforeach()
      list(JOIN arguments ", " arguments)
      string(APPEND text "${head}, (${arguments}))\n")
    endforeach()
  endforeach()
  file(CONFIGURE OUTPUT ${output} CONTENT "${text}" @ONLY)
endfunction()
