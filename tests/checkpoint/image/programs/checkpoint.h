/* checkpoint_here(): the process may be captured, killed and restored here. */
#ifndef CHECKPOINT_H
#define CHECKPOINT_H

#ifdef __cplusplus
extern "C"
#endif
    void
    checkpoint_here(void) __attribute__((weak));

#define CHECKPOINT()                        \
  do {                                      \
    if (checkpoint_here) checkpoint_here(); \
  } while (0)

/* As a part of an MPI program (../../programs/mpi_main.c) main() has another name, and C's linkage.
 */
#if defined(__cplusplus) && defined(FTMPI_MPI_MAIN)
extern "C" int program_main();
#endif

#endif
