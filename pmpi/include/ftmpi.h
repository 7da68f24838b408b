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
int FT_Get_version(int* major, int* minor, int* patch);

/* What the functions below return. */
#define FT_SUCCESS 0
#define FT_ERR_NOT_RUNNING 1    /* before MPI_Init, after MPI_Finalize, or FT_MODE is off */
#define FT_ERR_NO_CHECKPOINTS 2 /* this job takes no checkpoints (FT_STATE) */

/* Asks for a checkpoint of the job. Any rank may call it, alone or with others; it is not
 * collective and returns at once. The checkpoint is taken soon after, when the ranks call MPI, and
 * holds all that this rank had done when it asked; ranks that ask at the same time get one
 * checkpoint. A checkpoint that can't be taken is reported on standard error, and the job goes on.
 * FT_SUCCESS: it was asked for. Callable wherever MPI functions are. */
int FT_Checkpoint(void);

#ifdef __cplusplus
}
#endif

#endif /* FTMPI_H */
