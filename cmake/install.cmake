# What `cmake --install` puts in place, so that pkg-config and find_package(netmend) find it.
include(CMakePackageConfigHelpers)
set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/netmend)

install(TARGETS netmend EXPORT netmendTargets LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY include/netmend DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN *.h)
install(EXPORT netmendTargets NAMESPACE netmend:: DESTINATION ${package_dir})

# The public headers need nothing but the C library, so no package has to be found before ours.
file(WRITE ${CMAKE_BINARY_DIR}/netmendConfig.cmake
     "include(\${CMAKE_CURRENT_LIST_DIR}/netmendTargets.cmake)\n")
write_basic_package_version_file(${CMAKE_BINARY_DIR}/netmendConfigVersion.cmake
                                 COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/netmendConfig.cmake ${CMAKE_BINARY_DIR}/netmendConfigVersion.cmake
        DESTINATION ${package_dir})

# Relative to itself, so that the tree may be installed to another prefix, or moved.
file(RELATIVE_PATH pc_to_prefix ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_PREFIX})
configure_file(cmake/netmend.pc.in netmend.pc @ONLY)
install(FILES ${CMAKE_BINARY_DIR}/netmend.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

if(TARGET netmend_cli)
    # The program finds its library wherever the tree is put.
    file(RELATIVE_PATH bin_to_lib ${CMAKE_INSTALL_FULL_BINDIR} ${CMAKE_INSTALL_FULL_LIBDIR})
    set_target_properties(netmend_cli PROPERTIES INSTALL_RPATH "$ORIGIN/${bin_to_lib}")
    install(TARGETS netmend_cli RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()
install(FILES ${NM_MAN_PAGES} DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
