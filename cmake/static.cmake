# HEARTH_STATIC: a binary that needs nothing of the system but libc, for tools/release. Found libraries are static ones;
# of fmt Debian has no static library, so that it is compiled from its header. libcurl, which cannot be one (Kerberos has
# no static libraries), is opened at run time: a release may carry it with all that it needs in ../lib/hearth, where
# RPATH, unlike RUNPATH, has the loader look for the libraries of libraries too.
option(HEARTH_STATIC "Link everything but libc statically" OFF)
set(HEARTH_EDIT_NEEDS "")
if(HEARTH_STATIC)
  set(CMAKE_FIND_LIBRARY_SUFFIXES .a)
  set(Boost_USE_STATIC_LIBS ON)
  set(OPENSSL_USE_STATIC_LIBS ON)
  add_link_options(-static-libstdc++ -static-libgcc)
  set(CMAKE_INSTALL_RPATH "$ORIGIN/../lib/hearth")
  set(CMAKE_BUILD_WITH_INSTALL_RPATH ON)  # else CMake adds the build folder, whose length shows in what is installed
  add_link_options(-Wl,--disable-new-dtags)
  # The same release from any folder: __FILE__ says "src/...".
  add_compile_options("-ffile-prefix-map=${CMAKE_SOURCE_DIR}/=")
  add_library(hearth_fmt STATIC ${CMAKE_SOURCE_DIR}/cmake/fmt.cpp)
  get_target_property(fmt_includes fmt::fmt INTERFACE_INCLUDE_DIRECTORIES)
  target_include_directories(hearth_fmt SYSTEM PUBLIC ${fmt_includes})
  set_target_properties(hearth_fmt PROPERTIES ARCHIVE_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR})
  # In the place of the shared one, for all that link it.
  get_target_property(configurations fmt::fmt IMPORTED_CONFIGURATIONS)
  foreach(configuration IN LISTS configurations)
    set_target_properties(fmt::fmt PROPERTIES IMPORTED_LOCATION_${configuration} ${CMAKE_BINARY_DIR}/libhearth_fmt.a)
  endforeach()
  # yaml-cpp's own file names the shared library alone.
  find_package(yaml-cpp REQUIRED)
  find_library(HEARTH_LIB_yaml_cpp yaml-cpp REQUIRED)
  get_target_property(configurations yaml-cpp IMPORTED_CONFIGURATIONS)
  foreach(configuration IN LISTS configurations)
    set_target_properties(yaml-cpp PROPERTIES IMPORTED_LOCATION_${configuration} ${HEARTH_LIB_yaml_cpp})
  endforeach()
  foreach(library tinfo bsd md)
    find_library(HEARTH_LIB_${library} ${library} REQUIRED)
    list(APPEND HEARTH_EDIT_NEEDS ${HEARTH_LIB_${library}})
  endforeach()
endif()
