/* ftmpi's own interface. A program need not include or call anything of it to be protected. */
#ifndef FTMPI_H
#define FTMPI_H

/* Version of this header. */
#define FTMPI_VERSION_MAJOR 0
#define FTMPI_VERSION_MINOR 1
#define FTMPI_VERSION_PATCH 0

#ifdef __cplusplus
extern "C" {
#endif

/* Version of the library that is loaded. Each pointer may be NULL. Always returns 0 (MPI_SUCCESS).
 * May be called at any time, also before MPI_Init and by any thread. */
int FT_Get_version(int *major, int *minor, int *patch);

#ifdef __cplusplus
}
#endif

#endif /* FTMPI_H */
