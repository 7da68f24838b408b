// np: 2
// Generalised requests: alone, and mixed with ordinary ones in completion calls.
#include "p2p_check.h"

struct State {
  int queried;
  int freed;
  int cancelled;
  int value;
};

static int query(void* extra, MPI_Status* status) {
  struct State* state = extra;
  ++state->queried;
  MPI_Status_set_elements(status, MPI_INT, state->value);
  MPI_Status_set_cancelled(status, state->cancelled);
  status->MPI_SOURCE = 123;
  status->MPI_TAG = 456;
  return MPI_SUCCESS;
}
static int release(void* extra) {
  ++((struct State*)extra)->freed;
  return MPI_SUCCESS;
}
static int cancel(void* extra, int complete) {
  if (!complete) ((struct State*)extra)->cancelled = 1;
  return MPI_SUCCESS;
}

int main(int argc, char** argv) {
  check_begin(&argc, &argv, MPI_THREAD_SINGLE, 2);
  MPI_Request request;
  MPI_Status status;
  int flag;
  int count;

  struct State one = {0, 0, 0, 17};
  MPI_Grequest_start(query, release, cancel, &one, &request);
  MPI_Test(&request, &flag, &status);
  CHECK_EQUAL(flag, 0);
  CHECK_EQUAL(one.freed, 0);
  MPI_Grequest_complete(request);
  MPI_Wait(&request, &status);
  CHECK(request == MPI_REQUEST_NULL);
  CHECK(one.queried >= 1);
  CHECK_EQUAL(one.freed, 1);
  CHECK_EQUAL(status.MPI_SOURCE, 123);
  CHECK_EQUAL(status.MPI_TAG, 456);
  MPI_Get_elements(&status, MPI_INT, &count);
  CHECK_EQUAL(count, 17);

  struct State two = {0, 0, 0, 3};
  MPI_Grequest_start(query, release, cancel, &two, &request);
  MPI_Cancel(&request);
  MPI_Grequest_complete(request);
  for (flag = 0; !flag;) MPI_Test(&request, &flag, &status);
  MPI_Test_cancelled(&status, &flag);
  CHECK_EQUAL(flag, 1);
  CHECK_EQUAL(two.freed, 1);

  /* Among others. */
  int peer = check_rank ^ 1;
  if (peer < check_size) {
    for (int round = 0; round < 50; ++round) {
      struct State state = {0, 0, 0, 1};
      MPI_Request requests[3];
      MPI_Status statuses[3];
      int in = -1;
      MPI_Irecv(&in, 1, MPI_INT, peer, 1, MPI_COMM_WORLD, &requests[0]);
      MPI_Grequest_start(query, release, cancel, &state, &requests[1]);
      MPI_Isend(&round, 1, MPI_INT, peer, 1, MPI_COMM_WORLD, &requests[2]);
      int index = -1;
      MPI_Waitany(3, requests, &index, &status);
      CHECK(index == 0 || index == 2);
      MPI_Grequest_complete(requests[1]);
      if (round % 2) {
        MPI_Waitall(3, requests, statuses);
        CHECK_EQUAL(statuses[1].MPI_TAG, 456);
      } else {
        for (flag = 0; !flag;) MPI_Testall(3, requests, &flag, statuses);
      }
      CHECK_EQUAL(in, round);
      CHECK_EQUAL(state.freed, 1);
    }
  }
  /* Freed before it is complete: released when it completes. */
  struct State three = {0, 0, 0, 3};
  MPI_Grequest_start(query, release, cancel, &three, &request);
  MPI_Request handle = request;
  MPI_Request_free(&request);
  CHECK_EQUAL(three.freed, 0);
  MPI_Grequest_complete(handle);
  CHECK_EQUAL(three.freed, 1);
  return check_end();
}
