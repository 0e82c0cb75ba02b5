# Manual pages: docs/man/NAME.SECTION.scd becomes man/NAME.SECTION in the build tree, where scdoc is
# installed; without it there are none.
find_program(NM_SCDOC scdoc)
file(GLOB NM_MAN_SOURCES CONFIGURE_DEPENDS docs/man/*.scd)
if(NM_SCDOC)
    foreach(source IN LISTS NM_MAN_SOURCES)
        get_filename_component(page ${source} NAME_WLE)
        set(output ${CMAKE_BINARY_DIR}/man/${page})
        add_custom_command(
            OUTPUT ${output}
            COMMAND ${CMAKE_COMMAND} -E make_directory ${CMAKE_BINARY_DIR}/man
            COMMAND ${NM_SCDOC} < ${source} > ${output}
            DEPENDS ${source} VERBATIM)
        list(APPEND NM_MAN_PAGES ${output})
    endforeach()
    add_custom_target(man ALL DEPENDS ${NM_MAN_PAGES})
else()
    message(STATUS "scdoc not found: no manual pages")
endif()
