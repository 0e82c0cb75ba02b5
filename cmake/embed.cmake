# Turns a file into a C array, at build time:
#   cmake -D IN=file -D OUT=file.c -D NAME=nm_page_css -P embed.cmake
file(READ ${IN} hex HEX)
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
string(REGEX REPLACE "(0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,)" "\\1\n"
       bytes "${bytes}")
get_filename_component(file ${IN} NAME)
file(WRITE ${OUT} "/* ${file}, embedded by cmake/embed.cmake. */\n#include \"report/assets.h\"\n\n"
     "const unsigned char ${NAME}[] = {${bytes}0};\n")
