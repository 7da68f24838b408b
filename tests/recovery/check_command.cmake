# mpi-ft-check. The programs are those of the process image's tests, and MPI programs.
add_test(NAME check_command
         COMMAND python3 -B ${CMAKE_CURRENT_LIST_DIR}/check_command_test.py
                 $<TARGET_FILE:mpi-ft-check> ${CMAKE_BINARY_DIR}/tests/image/image_plain
                 ${CMAKE_BINARY_DIR}/tests/image/image_no_pie
                 ${CMAKE_BINARY_DIR}/tests/image/image_static
                 ${CMAKE_BINARY_DIR}/tests/image/image_own_malloc
                 ${CMAKE_BINARY_DIR}/tests/mpi/mpi_p2p_self_linked)
set_tests_properties(check_command PROPERTIES TIMEOUT 100)
