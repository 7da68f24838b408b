# The job directory (shared by the companion and the commands) and the companion process.
find_package(nlohmann_json REQUIRED)

add_library(ftmpi_job_directory STATIC durable_file.cc job_directory.cc job_records.cc)
target_link_libraries(ftmpi_job_directory PUBLIC ftmpi_flags PRIVATE nlohmann_json::nlohmann_json)
