// Functions that take the place of libc's.
#pragma once

// NOLINTNEXTLINE(cppcoreguidelines-macro-usage)
#define FTMPI_INTERPOSE extern "C" __attribute__((visibility("default")))
