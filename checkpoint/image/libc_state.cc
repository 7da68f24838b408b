#include "checkpoint/image/libc_state.h"

#include <errno.h>
#include <getopt.h>
#include <locale.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <wchar.h>

#include <algorithm>
#include <cstdint>

#include "checkpoint/image/arena.h"
#include "checkpoint/image/codec.h"
#include "checkpoint/image/export.h"
#include "checkpoint/image/image_error.h"
#include "checkpoint/image/library_scope.h"
#include "checkpoint/image/process_role.h"

// NOLINTBEGIN(bugprone-reserved-identifier)
extern "C" {
// Exported by libc since 2.2.5: the list of all streams, and putting a stream into it.
extern FILE* _IO_list_all;
void _IO_link_in(FILE* stream);
}
// NOLINTEND(bugprone-reserved-identifier)

namespace ftmpi::image {
namespace {

// libio.h: flags of a stream.
constexpr int kUnbuffered = 0x0002;
constexpr int kLinked = 0x0080;
constexpr int kLineBuffered = 0x0200;

// stdlib.h of glibc: struct drand48_data, of which seed48 returns the address of the second member.
constexpr std::size_t kDrand48Size = sizeof(struct drand48_data);
void* g_drand48 = nullptr;
// The state array that random() starts with: the first word holds type and position.
char* g_random_default = nullptr;

// Sizes of random()'s state by type (glibc's random_r.c: BREAK_n).
constexpr std::size_t kRandomSizes[] = {8, 32, 64, 128, 256};

std::size_t RandomSize(const char* state) {
  std::int32_t word = 0;
  memcpy(&word, state, sizeof word);
  return kRandomSizes[static_cast<std::uint32_t>(word) % 5];
}

// The state array in use. Its first word is brought up to date, as initstate() does it to the array
// that it puts aside.
char* CurrentRandomState() {
  char other[32];
  char* state = initstate(1, other, sizeof other);
  setstate(state);
  return state;
}

void CaptureRandom(Encoder* encoder) {
  const char* state = CurrentRandomState();
  const bool is_default = state == g_random_default;
  encoder->Value(state).Value<std::uint64_t>(is_default ? RandomSize(state) : 0);
  // An array of the program's is in its memory.
  if (is_default) encoder->Bytes(state, RandomSize(state));
  encoder->Bytes(g_drand48, kDrand48Size);
}

void RestoreRandom(Decoder* decoder) {
  char* state = decoder->Value<char*>();
  const auto size = decoder->Value<std::uint64_t>();
  // setstate() writes to the array that was in use: that must be none of the image's.
  static char aside[32];
  initstate(1, aside, sizeof aside);
  if (size > kRandomSizes[4] || (size != 0 && state != g_random_default))
    throw ImageError("the image's state of random() does not fit; use another checkpoint");
  if (size != 0) decoder->Bytes(state, size);
  setstate(state);
  decoder->Bytes(g_drand48, kDrand48Size);
}

FILE* const* StandardStreams() {
  static FILE* streams[3];
  streams[0] = stdin;
  streams[1] = stdout;
  streams[2] = stderr;
  return streams;
}

void CaptureStreams(Encoder* encoder) {
  std::vector<FILE*> opened;
  for (FILE* stream = _IO_list_all; stream != nullptr; stream = stream->_chain)
    if (InArena(stream)) opened.push_back(stream);
  encoder->Value<std::uint64_t>(opened.size());
  // In the order in which they are linked in again.
  for (auto stream = opened.rbegin(); stream != opened.rend(); ++stream) encoder->Value(*stream);
  for (int i = 0; i < 3; ++i) {
    FILE* stream = StandardStreams()[i];
    encoder->Value<int>(stream->_flags & (kUnbuffered | kLineBuffered)).Value(fwide(stream, 0));
  }
  const std::uint64_t unread =
      fwide(stdin, 0) > 0 || stdin->_IO_read_end < stdin->_IO_read_ptr
          ? 0
          : static_cast<std::uint64_t>(stdin->_IO_read_end - stdin->_IO_read_ptr);
  encoder->Value(unread).Bytes(stdin->_IO_read_ptr, unread);
}

// Puts `size` bytes in front of what stdin will read next.
void PutUnread(Decoder* decoder, std::uint64_t size) {
  if (size == 0) return;
  if (size > (std::uint64_t{1} << 30)) throw ImageError("the image's standard input is damaged");
  const std::size_t capacity = std::max<std::size_t>(size, BUFSIZ);
  // Stays: it is the stream's buffer from now on.
  char* buffer = static_cast<char*>(malloc(capacity));
  if (buffer == nullptr || setvbuf(stdin, buffer, _IOFBF, capacity) != 0)
    throw ImageError("there is no memory for what standard input had read");
  decoder->Bytes(buffer, size);
  stdin->_IO_read_base = stdin->_IO_read_ptr = buffer;
  stdin->_IO_read_end = buffer + size;
  stdin->_IO_write_base = stdin->_IO_write_ptr = stdin->_IO_write_end = buffer;
}

void RestoreStreams(Decoder* decoder) {
  const std::uint64_t count = decoder->Count(sizeof(FILE*));
  for (std::uint64_t i = 0; i < count; ++i) {
    FILE* stream = decoder->Value<FILE*>();
    if (!InArena(stream)) throw ImageError("the image's list of streams is damaged");
    stream->_flags &= ~kLinked;
    _IO_link_in(stream);
  }
  for (int i = 0; i < 3; ++i) {
    FILE* stream = StandardStreams()[i];
    const int flags = decoder->Value<int>();
    const int orientation = decoder->Value<int>();
    if ((flags & kUnbuffered) != 0) setvbuf(stream, nullptr, _IONBF, 0);
    if ((flags & kLineBuffered) != 0) setvbuf(stream, nullptr, _IOLBF, 0);
    if (orientation != 0) fwide(stream, orientation);
  }
  PutUnread(decoder, decoder->Value<std::uint64_t>());
}

// Plain variables of libc (some of them copied into the executable).
struct Variables {
  char* invocation_name;
  char* invocation_short_name;
  char* option_argument;
  int option_index;
  int option_errors;
  int option;
  int error_number;
  locale_t locale;
};

}  // namespace

void NoteLibcState() {
  unsigned short zero[3] = {0, 0, 0};
  // The sequence of a program that never seeds starts with X = 0, too.
  g_drand48 = reinterpret_cast<char*>(seed48(zero)) - offsetof(struct drand48_data, __old_x);
  g_random_default = CurrentRandomState();
}

std::vector<std::byte> CaptureLibcState(int error_number) {
  Encoder encoder;
  Variables variables{};
  variables.invocation_name = program_invocation_name;
  variables.invocation_short_name = program_invocation_short_name;
  variables.option_argument = optarg;
  variables.option_index = optind;
  variables.option_errors = opterr;
  variables.option = optopt;
  variables.error_number = error_number;
  variables.locale = uselocale(nullptr);
  encoder.Value(variables);
  CaptureRandom(&encoder);
  CaptureStreams(&encoder);
  return encoder.Take();
}

int RestoreLibcState(std::span<const std::byte> state) {
  Decoder decoder(state, "state of libc");
  const auto variables = decoder.Value<Variables>();
  program_invocation_name = variables.invocation_name;
  program_invocation_short_name = variables.invocation_short_name;
  optarg = variables.option_argument;
  optind = variables.option_index;
  opterr = variables.option_errors;
  optopt = variables.option;
  uselocale(variables.locale);
  RestoreRandom(&decoder);
  RestoreStreams(&decoder);
  return variables.error_number;
}

}  // namespace ftmpi::image

// libc's keeps its place in a variable that can't be reached.
FTMPI_INTERPOSE char* strtok(char* text, const char* delimiters) {
  using ftmpi::image::ArenaActive;
  static char* place = nullptr;
  return strtok_r(
      text, delimiters,
      ArenaActive() && !ftmpi::image::InLibrary() ? &ftmpi::image::Root().strtok_place : &place);
}
