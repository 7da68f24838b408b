// np: 2
// Every send mode, blocking, non-blocking and persistent, small and large, and what each promises.
#include "p2p_check.h"

enum { kTag = 7, kGoTag = 8, kDoneTag = 9 };
static const size_t kSizes[] = {0, 1, 8, 1000, 4000, 4096, 5000, 65536, 300001};
enum { kSizeCount = sizeof kSizes / sizeof kSizes[0] };

enum Mode { kStandard, kSynchronous, kReady, kBuffered, kModes };
enum Style { kBlocking, kNonBlocking, kPersistent, kStyles };

static void send(enum Mode mode, enum Style style, const void* data, int count) {
  MPI_Request request = MPI_REQUEST_NULL;
  MPI_Comm comm = MPI_COMM_WORLD;
  typedef int (*Send)(const void*, int, MPI_Datatype, int, int, MPI_Comm);
  typedef int (*Isend)(const void*, int, MPI_Datatype, int, int, MPI_Comm, MPI_Request*);
  static const Send blocking[] = {MPI_Send, MPI_Ssend, MPI_Rsend, MPI_Bsend};
  static const Isend immediate[] = {MPI_Isend, MPI_Issend, MPI_Irsend, MPI_Ibsend};
  static const Isend init[] = {MPI_Send_init, MPI_Ssend_init, MPI_Rsend_init, MPI_Bsend_init};
  if (style == kBlocking) {
    blocking[mode](data, count, MPI_BYTE, 1, kTag, comm);
  } else if (style == kNonBlocking) {
    immediate[mode](data, count, MPI_BYTE, 1, kTag, comm, &request);
    MPI_Status status;
    MPI_Wait(&request, &status);
    int cancelled = -1;
    MPI_Test_cancelled(&status, &cancelled);
    CHECK_EQUAL(cancelled, 0);
    CHECK(request == MPI_REQUEST_NULL);
  } else {
    init[mode](data, count, MPI_BYTE, 1, kTag, comm, &request);
    MPI_Start(&request);
    MPI_Wait(&request, MPI_STATUS_IGNORE);
    CHECK(request != MPI_REQUEST_NULL);
    MPI_Request_free(&request);
    CHECK(request == MPI_REQUEST_NULL);
  }
}

static void all_combinations(void) {
  unsigned char* buffer = malloc(400000);
  for (int mode = 0; mode < kModes; ++mode) {
    for (int style = 0; style < kStyles; ++style) {
      for (int s = 0; s < kSizeCount; ++s) {
        size_t bytes = kSizes[s];
        uint64_t seed = (uint64_t)(mode * 100 + style * 10 + s);
        if (check_rank == 0) {
          fill(buffer, bytes, seed);
          /* A ready send needs a receive that is posted: wait until it is. */
          MPI_Recv(NULL, 0, MPI_BYTE, 1, kGoTag, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
          send(mode, style, buffer, (int)bytes);
          /* The buffer is ours again. */
          memset(buffer, 0xee, bytes);
        } else {
          MPI_Request request;
          MPI_Status status;
          memset(buffer, 0xdd, bytes + 1);
          MPI_Irecv(buffer, (int)bytes, MPI_BYTE, 0, kTag, MPI_COMM_WORLD, &request);
          MPI_Send(NULL, 0, MPI_BYTE, 0, kGoTag, MPI_COMM_WORLD);
          MPI_Wait(&request, &status);
          CHECK_STATUS(status, 0, kTag, bytes);
          CHECK_PATTERN(buffer, bytes, seed);
          CHECK_EQUAL(buffer[bytes], 0xdd);
        }
      }
    }
  }
  free(buffer);
}

/* A synchronous send completes only when the receive has started. */
static void synchronous(size_t bytes) {
  unsigned char* buffer = malloc(bytes + 1);
  if (check_rank == 0) {
    fill(buffer, bytes, 3);
    MPI_Request request;
    MPI_Issend(buffer, (int)bytes, MPI_BYTE, 1, kTag, MPI_COMM_WORLD, &request);
    for (int i = 0; i < 20000; ++i) {
      int flag = -1;
      MPI_Test(&request, &flag, MPI_STATUS_IGNORE);
      CHECK_EQUAL(flag, 0);
    }
    MPI_Send(NULL, 0, MPI_BYTE, 1, kGoTag, MPI_COMM_WORLD);
    MPI_Wait(&request, MPI_STATUS_IGNORE);
  } else {
    MPI_Recv(NULL, 0, MPI_BYTE, 0, kGoTag, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    MPI_Recv(buffer, (int)bytes, MPI_BYTE, 0, kTag, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    CHECK_PATTERN(buffer, bytes, 3);
  }
  free(buffer);
}

/* A buffered send completes without the receiver, as long as there is room in the buffer. */
static void buffered(void) {
  enum { kMessages = 10, kBytes = 70000 };
  int size = kMessages * (kBytes + MPI_BSEND_OVERHEAD);
  unsigned char* data = malloc(kBytes);
  if (check_rank == 0) {
    void* mine = malloc((size_t)size);
    MPI_Buffer_attach(mine, size);
    for (int i = 0; i < kMessages; ++i) {
      fill(data, kBytes, (uint64_t)i);
      MPI_Bsend(data, kBytes, MPI_BYTE, 1, kTag, MPI_COMM_WORLD);
    }
    MPI_Send(NULL, 0, MPI_BYTE, 1, kGoTag, MPI_COMM_WORLD);
    void* back = NULL;
    int back_size = 0;
    MPI_Buffer_detach(&back, &back_size); /* waits until all has gone */
    CHECK(back == mine);
    CHECK_EQUAL(back_size, size);
    memset(mine, 0xee, (size_t)size);
    free(mine);
  } else {
    MPI_Recv(NULL, 0, MPI_BYTE, 0, kGoTag, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    for (int i = 0; i < kMessages; ++i) {
      MPI_Recv(data, kBytes, MPI_BYTE, 0, kTag, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
      CHECK_PATTERN(data, kBytes, i);
    }
  }
  /* The room is used again when messages have left. */
  if (check_rank == 0) {
    int room = 2 * (1000 + MPI_BSEND_OVERHEAD);
    void* mine = malloc((size_t)room);
    MPI_Buffer_attach(mine, room);
    for (int i = 0; i < 500; ++i) {
      fill(data, 1000, (uint64_t)i);
      MPI_Bsend(data, 1000, MPI_BYTE, 1, kTag, MPI_COMM_WORLD);
      MPI_Recv(NULL, 0, MPI_BYTE, 1, kDoneTag, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    }
    void* back = NULL;
    MPI_Buffer_detach(&back, &room);
    free(back);
  } else {
    for (int i = 0; i < 500; ++i) {
      MPI_Recv(data, 1000, MPI_BYTE, 0, kTag, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
      CHECK_PATTERN(data, 1000, i);
      MPI_Send(NULL, 0, MPI_BYTE, 0, kDoneTag, MPI_COMM_WORLD);
    }
  }
  free(data);
}

/* Without room a buffered send is an error that the program may handle. (Open MPI loses a sequence
 * number over it: nothing is sent on this communicator afterwards.) */
static void no_room(void) {
  MPI_Comm comm;
  static char data[100000];
  int room = 50000 + MPI_BSEND_OVERHEAD;
  void* mine = malloc((size_t)room);
  MPI_Comm_dup(MPI_COMM_SELF, &comm);
  MPI_Comm_set_errhandler(comm, MPI_ERRORS_RETURN);
  CHECK_CLASS(MPI_Bsend(data, sizeof data, MPI_BYTE, 0, kTag, comm), MPI_ERR_BUFFER);
  MPI_Buffer_attach(mine, room);
  CHECK_CLASS(MPI_Bsend(data, sizeof data, MPI_BYTE, 0, kTag, comm), MPI_ERR_BUFFER);
  void* back = NULL;
  MPI_Buffer_detach(&back, &room);
  CHECK(back == mine);
  free(mine);
  MPI_Comm_free(&comm);
}

int main(int argc, char** argv) {
  check_begin(&argc, &argv, MPI_THREAD_SINGLE, 2);
  int room = 400000 + MPI_BSEND_OVERHEAD;
  void* mine = malloc((size_t)room);
  if (check_rank == 0) MPI_Buffer_attach(mine, room);
  if (check_rank < 2) all_combinations();
  if (check_rank == 0) {
    void* back = NULL;
    MPI_Buffer_detach(&back, &room);
    CHECK(back == mine);
  }
  free(mine);
  if (check_rank < 2) {
    synchronous(0);
    synchronous(8);
    synchronous(100000);
    buffered();
  }
  no_room();
  return check_end();
}
