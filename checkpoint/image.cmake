# The process image, linked into libftmpi.so (tests: into a small host of their own).
find_package(Boost 1.74 REQUIRED)

file(GLOB FTMPI_IMAGE_SOURCES CONFIGURE_DEPENDS ${CMAKE_CURRENT_LIST_DIR}/image/*.cc)
add_library(ftmpi_image STATIC ${FTMPI_IMAGE_SOURCES})
target_link_libraries(ftmpi_image PUBLIC ftmpi_flags ${CMAKE_DL_LIBS} Threads::Threads)
target_include_directories(ftmpi_image SYSTEM PRIVATE ${Boost_INCLUDE_DIRS})
# The guards of the stack and of pointers change while the process starts: see startup.cc.
target_compile_options(ftmpi_image PRIVATE -fno-stack-protector -fno-builtin-malloc
                       -fno-builtin-calloc -fno-builtin-realloc -fno-builtin-free)
