# mpi-ft-recover: its parts, and the command on hand-made job directories.
ftmpi_unit_test(inventory_test inventory_test.cc LIBRARIES ftmpi_recovery)
ftmpi_unit_test(checkpoint_gathering_test checkpoint_gathering_test.cc LIBRARIES ftmpi_recovery
                ftmpi_checkpoint_files)
ftmpi_unit_test(log_coverage_test log_coverage_test.cc LIBRARIES ftmpi_recovery ftmpi_coordination)
ftmpi_unit_test(module_builds_test module_builds_test.cc LIBRARIES ftmpi_recovery)
ftmpi_unit_test(recovery_line_test recovery_line_test.cc LIBRARIES ftmpi_recovery)
find_package(nlohmann_json REQUIRED)
ftmpi_unit_test(replay_plan_test replay_plan_test.cc LIBRARIES ftmpi_recovery ftmpi_fault_environment
                nlohmann_json::nlohmann_json)
ftmpi_unit_test(relaunch_test relaunch_test.cc LIBRARIES ftmpi_recovery)
ftmpi_unit_test(recover_command_test recover_command_test.cc LIBRARIES ftmpi_recovery
                nlohmann_json::nlohmann_json)
target_compile_definitions(recover_command_test PRIVATE
  FTMPI_TEST_RECOVER="$<TARGET_FILE:mpi-ft-recover>"
  FTMPI_TEST_INVENTORY="$<TARGET_FILE:mpi-ft-inventory>")
add_dependencies(recover_command_test mpi-ft-recover mpi-ft-inventory)
