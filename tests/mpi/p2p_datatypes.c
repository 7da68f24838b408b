// np: 2
// Non-contiguous and user-defined datatypes on either side, small and large, MPI_BOTTOM,
// MPI_PACKED, partial receives.
#include <stddef.h>

#include "p2p_check.h"

static MPI_Datatype commit(MPI_Datatype type) {
  MPI_Type_commit(&type);
  return type;
}

/* Sends `count` of `type` from rank 0 and receives as the same type, as packed bytes' worth of ints
 * and the other way round; cells that the type leaves out must stay as they are. `cells` ints on
 * either side; the type's data are ints; picks[i] is the index of its i-th int. */
static void exchange(MPI_Datatype type, int count, const int* picks, int ints, int* origin_offset,
                     int cells) {
  int* data = malloc(sizeof(int) * (size_t)cells);
  int* flat = malloc(sizeof(int) * ((size_t)ints + 1));
  int* at = data + *origin_offset;
  MPI_Status status;
  int got;
  for (int way = 0; way < 3; ++way) {
    if (check_rank == 0) {
      for (int i = 0; i < cells; ++i) data[i] = 100000 + i;
      for (int i = 0; i < ints; ++i) flat[i] = 100000 + picks[i];
      if (way == 1) {
        MPI_Send(flat, ints, MPI_INT, 1, way, MPI_COMM_WORLD);
      } else {
        MPI_Send(at, count, type, 1, way, MPI_COMM_WORLD);
      }
    } else if (check_rank == 1) {
      for (int i = 0; i < cells; ++i) data[i] = -i;
      if (way == 2) {
        flat[ints] = -7;
        MPI_Recv(flat, ints, MPI_INT, 0, way, MPI_COMM_WORLD, &status);
        for (int i = 0; i < ints; ++i) CHECK_EQUAL(flat[i], 100000 + picks[i]);
        CHECK_EQUAL(flat[ints], -7);
      } else {
        MPI_Request request;
        MPI_Irecv(at, count, type, 0, way, MPI_COMM_WORLD, &request);
        MPI_Wait(&request, &status);
        MPI_Get_count(&status, type, &got);
        CHECK_EQUAL(got, count);
        MPI_Get_elements(&status, type, &got);
        CHECK_EQUAL(got, ints);
        char* picked = calloc((size_t)cells, 1);
        for (int i = 0; i < ints; ++i) {
          picked[picks[i]] = 1;
          CHECK_EQUAL(data[picks[i]], 100000 + picks[i]);
        }
        for (int i = 0; i < cells; ++i) {
          if (!picked[i]) CHECK_EQUAL(data[i], -i);
        }
        free(picked);
      }
    }
  }
  free(data);
  free(flat);
}

static void vectors(int blocks) {
  /* `blocks` blocks of 2 ints, stride 5. */
  MPI_Datatype type;
  MPI_Type_vector(blocks, 2, 5, MPI_INT, &type);
  type = commit(type);
  int* picks = malloc(sizeof(int) * (size_t)blocks * 2);
  int n = 0;
  for (int b = 0; b < blocks; ++b) {
    picks[n++] = 5 * b;
    picks[n++] = 5 * b + 1;
  }
  int offset = 0;
  exchange(type, 1, picks, n, &offset, 5 * blocks);
  MPI_Type_free(&type);

  /* Negative stride: the blocks run backwards from the address. */
  MPI_Type_vector(blocks, 1, -3, MPI_INT, &type);
  type = commit(type);
  for (int b = 0; b < blocks; ++b) picks[b] = 3 * (blocks - 1) - 3 * b;
  offset = 3 * (blocks - 1);
  exchange(type, 1, picks, blocks, &offset, 3 * blocks);
  MPI_Type_free(&type);

  /* Resized: consecutive elements interleave (a matrix column by column). */
  MPI_Datatype column;
  MPI_Type_vector(blocks, 1, 4, MPI_INT, &type);
  MPI_Type_create_resized(type, 0, sizeof(int), &column);
  column = commit(column);
  MPI_Type_free(&type);
  picks = realloc(picks, sizeof(int) * (size_t)blocks * 4);
  n = 0;
  for (int c = 0; c < 4; ++c) {
    for (int b = 0; b < blocks; ++b) picks[n++] = 4 * b + c;
  }
  offset = 0;
  exchange(column, 4, picks, n, &offset, 4 * blocks);
  MPI_Type_free(&column);
  free(picks);
}

static void indexed(void) {
  enum { kBlocks = 700 };
  int lengths[kBlocks];
  int places[kBlocks];
  int* picks = malloc(sizeof(int) * kBlocks * 4);
  int n = 0;
  /* Not in order of address: blocks from the end to the beginning. */
  for (int b = 0; b < kBlocks; ++b) {
    lengths[b] = b % 4;
    places[b] = 6 * (kBlocks - 1 - b);
    for (int k = 0; k < lengths[b]; ++k) picks[n++] = places[b] + k;
  }
  MPI_Datatype type;
  MPI_Type_indexed(kBlocks, lengths, places, MPI_INT, &type);
  type = commit(type);
  int offset = 0;
  exchange(type, 1, picks, n, &offset, 6 * kBlocks);
  MPI_Type_free(&type);
  free(picks);
}

struct Particle {
  char kind;
  double position[3];
  short charge;
  int id;
};

static void structs(int count) {
  struct Particle sample;
  (void)sample;
  int lengths[4] = {1, 3, 1, 1};
  MPI_Aint places[4] = {offsetof(struct Particle, kind), offsetof(struct Particle, position),
                        offsetof(struct Particle, charge), offsetof(struct Particle, id)};
  MPI_Datatype types[4] = {MPI_CHAR, MPI_DOUBLE, MPI_SHORT, MPI_INT};
  MPI_Datatype bare;
  MPI_Datatype type;
  MPI_Type_create_struct(4, lengths, places, types, &bare);
  MPI_Type_create_resized(bare, 0, sizeof(struct Particle), &type);
  type = commit(type);
  MPI_Type_free(&bare);
  struct Particle* particles = malloc(sizeof(struct Particle) * (size_t)count);
  memset(particles, 0x55, sizeof(struct Particle) * (size_t)count);
  MPI_Status status;
  if (check_rank == 0) {
    for (int i = 0; i < count; ++i) {
      struct Particle* p = &particles[i];
      p->kind = (char)(i % 100);
      for (int k = 0; k < 3; ++k) p->position[k] = i + 0.25 * k;
      p->charge = (short)(-i % 1000);
      p->id = i;
    }
    MPI_Send(particles, count, type, 1, 1, MPI_COMM_WORLD);
    MPI_Send(particles, count / 2, type, 1, 2, MPI_COMM_WORLD);
  } else if (check_rank == 1) {
    int got;
    for (int way = 1; way <= 2; ++way) {
      int sent = way == 1 ? count : count / 2;
      memset(particles, 0x55, sizeof(struct Particle) * (size_t)count);
      MPI_Recv(particles, count, type, 0, way, MPI_COMM_WORLD, &status);
      MPI_Get_count(&status, type, &got);
      CHECK_EQUAL(got, sent);
      MPI_Get_elements(&status, type, &got);
      CHECK_EQUAL(got, 6 * sent);
      for (int i = 0; i < sent; ++i) {
        const struct Particle* p = &particles[i];
        CHECK(p->kind == i % 100 && p->id == i && p->charge == (short)(-i % 1000));
        for (int k = 0; k < 3; ++k) CHECK(p->position[k] == i + 0.25 * k);
        /* Padding is nobody's. */
        CHECK_EQUAL(((const unsigned char*)p)[1], 0x55);
      }
      for (int i = sent; i < count; ++i) CHECK_EQUAL(particles[i].id, 0x55555555);
    }
  }
  MPI_Type_free(&type);
  free(particles);
}

static void bottom(int count) {
  int* a = calloc((size_t)count, sizeof(int));
  double* b = calloc((size_t)count, sizeof(double));
  int lengths[2] = {count, count};
  MPI_Aint places[2];
  MPI_Datatype types[2] = {MPI_INT, MPI_DOUBLE};
  MPI_Get_address(a, &places[0]);
  MPI_Get_address(b, &places[1]);
  MPI_Datatype type;
  MPI_Type_create_struct(2, lengths, places, types, &type);
  type = commit(type);
  MPI_Status status;
  if (check_rank == 0) {
    for (int i = 0; i < count; ++i) {
      a[i] = 7 * i;
      b[i] = 0.5 * i;
    }
    MPI_Send(MPI_BOTTOM, 1, type, 1, 4, MPI_COMM_WORLD);
    MPI_Request request;
    MPI_Isend(MPI_BOTTOM, 1, type, 1, 5, MPI_COMM_WORLD, &request);
    MPI_Wait(&request, MPI_STATUS_IGNORE);
  } else if (check_rank == 1) {
    for (int way = 4; way <= 5; ++way) {
      for (int i = 0; i < count; ++i) {
        a[i] = -1;
        b[i] = -1;
      }
      MPI_Recv(MPI_BOTTOM, 1, type, 0, way, MPI_COMM_WORLD, &status);
      CHECK_STATUS(status, 0, way, count * 12);
      for (int i = 0; i < count; ++i) CHECK(a[i] == 7 * i && b[i] == 0.5 * i);
    }
  }
  MPI_Type_free(&type);
  free(a);
  free(b);
}

static void packed(int count) {
  int room = 0;
  int more = 0;
  MPI_Pack_size(1, MPI_INT, MPI_COMM_WORLD, &room);
  MPI_Pack_size(count, MPI_DOUBLE, MPI_COMM_WORLD, &more);
  room += more;
  char* buffer = malloc((size_t)room);
  double* values = calloc((size_t)count, sizeof(double));
  int position = 0;
  MPI_Datatype type;
  int one = 1;
  MPI_Aint places[2];
  int lengths[2] = {1, count};
  int header = count;
  MPI_Datatype types[2] = {MPI_INT, MPI_DOUBLE};
  MPI_Get_address(&header, &places[0]);
  MPI_Get_address(values, &places[1]);
  MPI_Type_create_struct(2, lengths, places, types, &type);
  type = commit(type);
  MPI_Status status;
  if (check_rank == 0) {
    for (int i = 0; i < count; ++i) values[i] = i * 1.5;
    MPI_Pack(&count, 1, MPI_INT, buffer, room, &position, MPI_COMM_WORLD);
    MPI_Pack(values, count, MPI_DOUBLE, buffer, room, &position, MPI_COMM_WORLD);
    MPI_Send(buffer, position, MPI_PACKED, 1, 1, MPI_COMM_WORLD);
    MPI_Send(buffer, position, MPI_PACKED, 1, 2, MPI_COMM_WORLD);
    MPI_Send(MPI_BOTTOM, one, type, 1, 3, MPI_COMM_WORLD);
  } else if (check_rank == 1) {
    /* Packed to packed; packed to typed; typed to packed. */
    for (int way = 1; way <= 3; ++way) {
      header = 0;
      for (int i = 0; i < count; ++i) values[i] = -1;
      if (way == 2) {
        MPI_Recv(MPI_BOTTOM, 1, type, 0, way, MPI_COMM_WORLD, &status);
      } else {
        MPI_Recv(buffer, room, MPI_PACKED, 0, way, MPI_COMM_WORLD, &status);
        int bytes = 0;
        MPI_Get_count(&status, MPI_PACKED, &bytes);
        position = 0;
        MPI_Unpack(buffer, bytes, &position, &header, 1, MPI_INT, MPI_COMM_WORLD);
        MPI_Unpack(buffer, bytes, &position, values, header, MPI_DOUBLE, MPI_COMM_WORLD);
      }
      CHECK_EQUAL(header, count);
      for (int i = 0; i < count; ++i) CHECK(values[i] == i * 1.5);
    }
  }
  MPI_Type_free(&type);
  free(buffer);
  free(values);
}

/* Fewer elements than asked for, also a part of a structured element. */
static void partial(void) {
  MPI_Datatype pair;
  MPI_Type_contiguous(3, MPI_INT, &pair);
  pair = commit(pair);
  int data[30];
  MPI_Status status;
  int got;
  if (check_rank == 0) {
    for (int i = 0; i < 30; ++i) data[i] = i;
    MPI_Send(data, 7, MPI_INT, 1, 1, MPI_COMM_WORLD);
  } else if (check_rank == 1) {
    memset(data, 0xff, sizeof data);
    MPI_Recv(data, 10, pair, 0, 1, MPI_COMM_WORLD, &status);
    MPI_Get_count(&status, pair, &got);
    CHECK_EQUAL(got, MPI_UNDEFINED);
    MPI_Get_elements(&status, pair, &got);
    CHECK_EQUAL(got, 7);
    MPI_Get_count(&status, MPI_INT, &got);
    CHECK_EQUAL(got, 7);
    for (int i = 0; i < 30; ++i) CHECK_EQUAL(data[i], i < 7 ? i : -1);
  }
  MPI_Type_free(&pair);
}

/* A datatype may be freed while a message that uses it is under way. */
static void freed_early(void) {
  enum { kCount = 50000 };
  int* data = malloc(sizeof(int) * 2 * kCount);
  MPI_Datatype type;
  MPI_Request request;
  MPI_Type_vector(kCount, 1, 2, MPI_INT, &type);
  type = commit(type);
  if (check_rank == 0) {
    for (int i = 0; i < 2 * kCount; ++i) data[i] = i;
    MPI_Isend(data, 1, type, 1, 1, MPI_COMM_WORLD, &request);
    MPI_Type_free(&type);
    MPI_Wait(&request, MPI_STATUS_IGNORE);
  } else if (check_rank == 1) {
    memset(data, 0, sizeof(int) * 2 * kCount);
    MPI_Irecv(data, 1, type, 0, 1, MPI_COMM_WORLD, &request);
    MPI_Type_free(&type);
    MPI_Wait(&request, MPI_STATUS_IGNORE);
    for (int i = 0; i < 2 * kCount; ++i) CHECK_EQUAL(data[i], i % 2 ? 0 : i);
  } else {
    MPI_Type_free(&type);
  }
  free(data);
}

int main(int argc, char** argv) {
  check_begin(&argc, &argv, MPI_THREAD_SINGLE, 2);
  static const int blocks[] = {1, 3, 100, 500, 513, 2000, 40000};
  for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; ++i) vectors(blocks[i]);
  indexed();
  structs(1);
  structs(100);
  structs(20000);
  bottom(1);
  bottom(300);
  bottom(400);
  bottom(50000);
  packed(3);
  packed(500);
  packed(100000);
  partial();
  freed_early();
  return check_end();
}
