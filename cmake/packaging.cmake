# What is installed (`cmake --install`), and the Debian packages that CPack makes of it (tools/release runs both):
# hearth, which takes libcurl from the system, and hearth-portable, which carries it with all that it needs. Components:
#   program   the program, its model, man pages, completions, documents
#   carried   ../lib/hearth: libcurl and its libraries, where HEARTH_CARRIED names their folder
#   service   systemd's units, /etc/hearth
#   papers-PACKAGE   what Debian's policy wants in the package
set(HEARTH_CARRIED "" CACHE PATH "A folder of libraries to go along with the program")

# Debian's papers of both packages; what is new stands in the repository's log.
set(papers ${CMAKE_BINARY_DIR}/papers)
string(TIMESTAMP changelog_date "%a, %d %b %Y %H:%M:%S +0000" UTC)  # heeds SOURCE_DATE_EPOCH
set(maintainer "hearth maintainers <maintainers@hearth.invalid>")
foreach(package hearth hearth-portable)
  file(CONFIGURE OUTPUT ${papers}/${package}/changelog CONTENT
"@package@ (@PROJECT_VERSION@) stable; urgency=medium

  * Release @PROJECT_VERSION@.

 -- @maintainer@  @changelog_date@
" @ONLY)
  configure_file(deploy/debian/lintian-overrides.in ${papers}/${package}/overrides @ONLY)
  install(FILES deploy/debian/copyright ${papers}/${package}/changelog.gz DESTINATION share/doc/${package}
    COMPONENT papers-${package})
  install(FILES ${papers}/${package}/overrides DESTINATION share/lintian/overrides RENAME ${package}
    COMPONENT papers-${package})
endforeach()

# Man pages and completions, from what the commands say of themselves.
set(command_pages ${CMAKE_BINARY_DIR}/command-pages)
add_custom_command(OUTPUT ${command_pages}/stamp
  COMMAND ${CMAKE_COMMAND} -E rm -rf ${command_pages}
  COMMAND ${CMAKE_SOURCE_DIR}/tools/command-pages $<TARGET_FILE:hearth> ${command_pages}
  COMMAND gzip -9nr ${command_pages}/man1
  COMMAND gzip -9nfk ${papers}/hearth/changelog ${papers}/hearth-portable/changelog
  COMMAND ${CMAKE_COMMAND} -E touch ${command_pages}/stamp
  DEPENDS hearth ${CMAKE_SOURCE_DIR}/tools/command-pages ${papers}/hearth/changelog
  COMMENT "Man pages and completions" VERBATIM)
add_custom_target(command_pages DEPENDS ${command_pages}/stamp)

install(TARGETS hearth DESTINATION bin COMPONENT program)
install(FILES ${demo_model} DESTINATION share/hearth COMPONENT program)
install(FILES LICENSE NOTICE README.md DESTINATION share/doc/hearth COMPONENT program)
file(GLOB documents CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/docs/*.md)
install(FILES ${documents} DESTINATION share/doc/hearth COMPONENT program)
install(DIRECTORY ${command_pages}/man1 DESTINATION share/man COMPONENT program)
install(FILES ${command_pages}/bash/hearth DESTINATION share/bash-completion/completions COMPONENT program)
install(FILES ${command_pages}/zsh/_hearth DESTINATION share/zsh/vendor-completions COMPONENT program)
install(FILES ${command_pages}/fish/hearth.fish DESTINATION share/fish/vendor_completions.d COMPONENT program)
install(FILES deploy/systemd/hearth.service deploy/systemd/hearth.socket DESTINATION lib/systemd/system COMPONENT service)
install(FILES deploy/debian/config.toml DESTINATION /etc/hearth COMPONENT service)
if(HEARTH_CARRIED)
  install(DIRECTORY ${HEARTH_CARRIED}/ DESTINATION lib/hearth COMPONENT carried FILES_MATCHING PATTERN "*.so*")
endif()

# CPack runs once for each package: cpack -D HEARTH_PACKAGE=hearth-portable.
set(CPACK_GENERATOR DEB)
set(CPACK_VERBATIM_VARIABLES ON)
set(CPACK_STRIP_FILES ON)
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_PACKAGE_CONTACT "${maintainer}")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "local server of large language models")
set(CPACK_DEBIAN_PACKAGE_DESCRIPTION
"It runs GGUF models on NVIDIA GPUs, with nothing of NVIDIA's but the driver,
and on processors, behind the APIs of Ollama, OpenAI and Anthropic; it says
why a model is not on the GPU, and what to do.")
set(CPACK_DEBIAN_PACKAGE_SECTION net)
set(CPACK_DEBIAN_COMPRESSION_TYPE xz)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS "ca-certificates")
set(CPACK_DEBIAN_PACKAGE_SUGGESTS "bash-completion")
foreach(file conffiles config postinst prerm postrm templates)
  list(APPEND CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA ${CMAKE_SOURCE_DIR}/deploy/debian/${file})
endforeach()
set(CPACK_PROJECT_CONFIG_FILE ${CMAKE_SOURCE_DIR}/cmake/cpack_package.cmake)
set(CPACK_HEARTH_BUILD ${CMAKE_BINARY_DIR})
include(CPack)
