// np: 3
// notice: MPI_File_open,MPI_File_delete
// MPI-IO on a duplicated communicator: collective, independent, shared-pointer, split and
// non-blocking access, views, and file requests among message requests in one MPI_Waitall.
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"

enum { kBlock = 500 };

int main(int argc, char** argv) {
  MPI_Init(&argc, &argv);
  MPI_Comm comm;
  MPI_Comm_dup(MPI_COMM_WORLD, &comm);
  int rank, size;
  MPI_Comm_rank(comm, &rank);
  MPI_Comm_size(comm, &size);

  char path[4096];
  if (rank == 0) {
    const char* directory = getenv("TMPDIR");
    snprintf(path, sizeof path, "%s/ftmpi-io-test-XXXXXX", directory ? directory : "/tmp");
    const int fd = mkstemp(path);
    CHECK(fd >= 0);
    close(fd);
  }
  MPI_Bcast(path, sizeof path, MPI_CHAR, 0, comm);

  MPI_File file;
  CHECK_EQUAL(MPI_File_open(comm, path, MPI_MODE_RDWR | MPI_MODE_CREATE, MPI_INFO_NULL, &file), 0);
  int data[kBlock], back[kBlock];
  for (int i = 0; i < kBlock; ++i) data[i] = 1000 * rank + i;

  // Collective, by explicit offset.
  MPI_Status status;
  const MPI_Offset mine = (MPI_Offset)(rank * sizeof data);
  CHECK_EQUAL(MPI_File_write_at_all(file, mine, data, kBlock, MPI_INT, &status), MPI_SUCCESS);
  int count = -1;
  MPI_Get_count(&status, MPI_INT, &count);
  CHECK_EQUAL(count, kBlock);
  MPI_File_sync(file);
  MPI_Barrier(comm);
  MPI_File_sync(file);
  const int other = (rank + 1) % size;
  memset(back, 0, sizeof back);
  MPI_File_read_at(file, (MPI_Offset)(other * sizeof data), back, kBlock, MPI_INT, &status);
  for (int i = 0; i < kBlock; ++i) CHECK_EQUAL(back[i], 1000 * other + i);
  MPI_Offset bytes;
  MPI_File_get_size(file, &bytes);
  CHECK_EQUAL(bytes, size * sizeof data);

  // A view: the ranks' integers interleave.
  MPI_Datatype column;
  MPI_Type_vector(kBlock, 1, size, MPI_INT, &column);
  MPI_Type_commit(&column);
  MPI_File_set_view(file, (MPI_Offset)(rank * sizeof(int)), MPI_INT, column, "native",
                    MPI_INFO_NULL);
  MPI_File_write_all(file, data, kBlock, MPI_INT, &status);
  MPI_File_seek(file, 0, MPI_SEEK_SET);
  memset(back, 0, sizeof back);
  MPI_File_read_all(file, back, kBlock, MPI_INT, &status);
  CHECK(memcmp(back, data, sizeof data) == 0);
  MPI_File_set_view(file, 0, MPI_INT, MPI_INT, "native", MPI_INFO_NULL);
  MPI_Type_free(&column);
  MPI_File_sync(file);
  MPI_Barrier(comm);
  MPI_File_sync(file);
  MPI_File_read_at_all(file, 0, back, size, MPI_INT, &status);
  for (int i = 0; i < size; ++i) CHECK_EQUAL(back[i], 1000 * i);

  // Non-blocking, with messages in the same Waitall.
  for (int i = 0; i < kBlock; ++i) data[i] = 7000 * (rank + 1) + i;
  int incoming = -1;
  MPI_Request requests[4];
  MPI_Irecv(&incoming, 1, MPI_INT, (rank + size - 1) % size, 3, comm, &requests[0]);
  MPI_File_iwrite_at(file, (MPI_Offset)(rank * kBlock), data, kBlock, MPI_INT, &requests[1]);
  MPI_Isend(&rank, 1, MPI_INT, other, 3, comm, &requests[2]);
  requests[3] = MPI_REQUEST_NULL;
  MPI_Status statuses[4];
  MPI_Waitall(4, requests, statuses);
  CHECK_EQUAL(incoming, (rank + size - 1) % size);
  MPI_Get_count(&statuses[1], MPI_INT, &count);
  CHECK_EQUAL(count, kBlock);
  for (int i = 0; i < 4; ++i) CHECK(requests[i] == MPI_REQUEST_NULL);
  MPI_File_iread_at(file, (MPI_Offset)(rank * kBlock), back, kBlock, MPI_INT, &requests[0]);
  MPI_Isend(&rank, 1, MPI_INT, other, 4, comm, &requests[1]);
  MPI_Irecv(&incoming, 1, MPI_INT, MPI_ANY_SOURCE, 4, comm, &requests[2]);
  for (int left = 3; left > 0;) {
    int index, n, indices[3];
    if (left == 3) {
      MPI_Waitany(3, requests, &index, &status);
      CHECK(index >= 0 && index < 3);
      --left;
    } else {
      MPI_Waitsome(3, requests, &n, indices, statuses);
      CHECK(n > 0 && n <= left);
      left -= n;
    }
  }
  CHECK(memcmp(back, data, sizeof data) == 0);
  MPI_File_iwrite_at_all(file, (MPI_Offset)(rank * kBlock), data, kBlock, MPI_INT, &requests[0]);
  int flag = 0;
  while (!flag) MPI_Test(&requests[0], &flag, &status);
  MPI_Get_count(&status, MPI_INT, &count);
  CHECK_EQUAL(count, kBlock);

  // Split collective.
  MPI_File_read_at_all_begin(file, (MPI_Offset)(rank * kBlock), back, kBlock, MPI_INT);
  MPI_File_read_at_all_end(file, back, &status);
  CHECK(memcmp(back, data, sizeof data) == 0);

  // Shared file pointer, in the order of ranks.
  MPI_File_seek_shared(file, 0, MPI_SEEK_SET);
  MPI_File_write_ordered(file, &rank, 1, MPI_INT, &status);
  MPI_File_sync(file);
  MPI_Barrier(comm);
  MPI_File_read_at(file, 0, back, size, MPI_INT, &status);
  for (int i = 0; i < size; ++i) CHECK_EQUAL(back[i], i);

  // What a file knows of itself.
  int mode;
  MPI_File_get_amode(file, &mode);
  CHECK_EQUAL(mode, MPI_MODE_RDWR | MPI_MODE_CREATE);
  MPI_Group file_group, group;
  int result;
  MPI_File_get_group(file, &file_group);
  MPI_Comm_group(comm, &group);
  MPI_Group_compare(file_group, group, &result);
  CHECK_EQUAL(result, MPI_IDENT);
  MPI_Group_free(&file_group);
  MPI_Group_free(&group);
  MPI_Info info;
  MPI_File_get_info(file, &info);
  CHECK(info != MPI_INFO_NULL);
  MPI_Info_free(&info);

  // The communicator may go before the file. (All have read before anybody cuts it off.)
  MPI_Barrier(comm);
  MPI_Comm_free(&comm);
  MPI_File_set_size(file, 8);
  MPI_File_close(&file);
  CHECK(file == MPI_FILE_NULL);
  // Errors of files are returned by default.
  CHECK(MPI_File_open(MPI_COMM_SELF, "/nonexistent/file", MPI_MODE_RDONLY, MPI_INFO_NULL, &file) !=
        MPI_SUCCESS);
  MPI_Barrier(MPI_COMM_WORLD);
  if (rank == 0) {
    CHECK_EQUAL(MPI_File_delete(path, MPI_INFO_NULL), MPI_SUCCESS);
    CHECK(access(path, F_OK) != 0);
    printf("files: ok\n");
  }
  MPI_Finalize();
  return 0;
}
