# What HTML reports consist of, as C arrays in the library: the style and script of src/report/page,
# and Chart.js of Debian's libjs-chart.js. Without it the pages have tables only.
find_file(NM_CHART_JS chart.min.js PATHS /usr/share/javascript/chart.js /usr/share/nodejs/chart.js/dist
          NO_DEFAULT_PATH DOC "Chart.js 3, minified")
if(NOT NM_CHART_JS)
    message(STATUS "libjs-chart.js not found: reports will have tables, no charts")
    file(WRITE ${CMAKE_BINARY_DIR}/page/none.js "")
    set(chart_js ${CMAKE_BINARY_DIR}/page/none.js)
else()
    set(chart_js ${NM_CHART_JS})
endif()

# Adds the array nm_page_<name> with the content of a file.
function(nm_embed name file)
    set(output ${CMAKE_BINARY_DIR}/src/report/page_${name}.c)
    add_custom_command(
        OUTPUT ${output}
        COMMAND ${CMAKE_COMMAND} -D IN=${file} -D OUT=${output} -D NAME=nm_page_${name}
                -P ${CMAKE_SOURCE_DIR}/cmake/embed.cmake
        DEPENDS ${file} ${CMAKE_SOURCE_DIR}/cmake/embed.cmake VERBATIM)
    target_sources(nm_objects PRIVATE ${output})
endfunction()

nm_embed(css ${CMAKE_SOURCE_DIR}/src/report/page/page.css)
nm_embed(js ${CMAKE_SOURCE_DIR}/src/report/page/page.js)
nm_embed(chart_js ${chart_js})
