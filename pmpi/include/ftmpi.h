/* ftmpi's own interface. A program need not include or call anything of it to be protected. */
#ifndef FTMPI_H
#define FTMPI_H

/* Version of this header. */
#define FTMPI_VERSION_MAJOR 0
#define FTMPI_VERSION_MINOR 1
#define FTMPI_VERSION_PATCH 0

#include <mpi.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Version of the library that is loaded. Each pointer may be NULL. Always returns 0 (MPI_SUCCESS).
 * May be called at any time, also before MPI_Init and by any thread. */
int FT_Get_version(int* major, int* minor, int* patch);

/* What the functions below return. */
#define FT_SUCCESS 0
#define FT_ERR_NOT_RUNNING 1    /* before MPI_Init, after MPI_Finalize, or FT_MODE is off */
#define FT_ERR_NO_CHECKPOINTS 2 /* this job takes no checkpoints of this kind (FT_STATE) */
#define FT_ERR_ARGUMENT 3       /* said on standard error */
#define FT_ERR_MISMATCH 4       /* the checkpoint has the region with another type or count */
#define FT_ERR_IN_TRANSIT 5     /* messages are in transit: nothing was saved */
#define FT_ERR_NOT_SAVED 6      /* the checkpoint was given up; the last one stays */

/* FT_Checkpoint. With FT_STATE=registered: saves the protected regions of all ranks, if it is time
 * to (FT_CKPT_INTERVAL; without it at each call). Collective over MPI_COMM_WORLD; no message of the
 * program may be in transit. Returns when the checkpoint is permanent; the same at all ranks.
 *
 * With FT_STATE=image: asks for a checkpoint of the job. Any rank may call it, alone or with
 * others; it is not collective and returns at once. The checkpoint is taken soon after, when the
 * ranks call MPI, and holds all that this rank had done when it asked; ranks that ask at the same
 * time get one checkpoint. A checkpoint that can't be taken is reported on standard error, and the
 * job goes on. FT_SUCCESS: it was asked for. */
int FT_Checkpoint(void);

/* Registered state (FT_STATE=registered; checkpoint/REGISTERED.md). A program may call these
 * always: where there is no registered state they do nothing and return FT_ERR_NOT_RUNNING or
 * FT_ERR_NO_CHECKPOINTS, and FT_Restored says 0. By the thread that calls MPI, after MPI_Init. */

/* `count` elements of `datatype` (committed) at `pointer` belong to checkpoints under this name:
 * one component of a path, its own at each rank. In a job that was started from a checkpoint they
 * get their values from it before this returns. The memory must stay until FT_Unprotect, or until
 * the name is protected again, with another pointer perhaps. */
int FT_Protect(const char* name, void* pointer, int count, MPI_Datatype datatype);
int FT_Unprotect(const char* name);

/* *flag = 1: the job was started from a checkpoint, and the program is now where that was taken.
 * Call it on all ranks, behind what every run does (FT_Protect) and in front of what only the first
 * one does. What the program has printed so far in a restarted job is dropped. */
int FT_Restored(int* flag);

/* With FT_STATE=image: the pages that lie wholly in these bytes are dead data, and need not be
 * stored. Holds until it is called with the same pointer and 0 bytes, before the memory is freed.
 */
int FT_Exclude(void* pointer, size_t bytes);

#ifdef __cplusplus
}
#endif

#endif /* FTMPI_H */
