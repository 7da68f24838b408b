# Flags and helpers that every target of the project shares.

add_library(ftmpi_flags INTERFACE)
target_include_directories(ftmpi_flags INTERFACE ${CMAKE_SOURCE_DIR})
target_compile_options(ftmpi_flags INTERFACE -Wall -Wextra -Werror -Wshadow -Wnon-virtual-dtor
                       $<$<COMPILE_LANGUAGE:CXX>:-Woverloaded-virtual> -fvisibility=hidden)
target_compile_options(ftmpi_flags INTERFACE $<$<COMPILE_LANGUAGE:C>:-Wno-nonnull>)
# GCC 12 sees overlapping copies in xxhash's inlined code where there are none.
target_compile_options(ftmpi_flags INTERFACE $<$<COMPILE_LANG_AND_ID:CXX,GNU>:-Wno-restrict>)
if(FTMPI_SANITIZE)
  target_compile_options(ftmpi_flags INTERFACE -fsanitize=${FTMPI_SANITIZE} -fno-omit-frame-pointer)
  target_link_options(ftmpi_flags INTERFACE -fsanitize=${FTMPI_SANITIZE})
endif()

# -Wnon-virtual-dtor is a C++ warning: keep it from C compilations.
get_target_property(_options ftmpi_flags INTERFACE_COMPILE_OPTIONS)
list(TRANSFORM _options REPLACE "^-Wnon-virtual-dtor$" "$<$<COMPILE_LANGUAGE:CXX>:-Wnon-virtual-dtor>")
set_target_properties(ftmpi_flags PROPERTIES INTERFACE_COMPILE_OPTIONS "${_options}")

# The MPI C interface for C++ sources, without the removed C++ bindings.
add_library(ftmpi_mpi INTERFACE)
target_link_libraries(ftmpi_mpi INTERFACE MPI::MPI_C)
target_compile_definitions(ftmpi_mpi INTERFACE OMPI_SKIP_MPICXX OMPI_OMIT_MPI1_COMPAT_DECLS=0)
