#include "checkpoint/image/environment_variables.h"

#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "checkpoint/image/arena.h"
#include "checkpoint/image/codec.h"
#include "checkpoint/image/host.h"
#include "checkpoint/image/image_error.h"
#include "checkpoint/image/process_role.h"

namespace ftmpi::image {
namespace {

// A variable as it was: a library's setenv may have put it into libc's heap, which is not captured.
struct Variable {
  char* place;
  std::string text;
};

// The mark of a process that gets images is made anew for each process.
std::string Mark() { return RoleMark(Role::kRecord); }

bool SameName(const std::string& one, const std::string& other) {
  const std::size_t length = one.find('=');
  return length == other.find('=') && one.compare(0, length, other, 0, length) == 0;
}

bool IsLibrarys(const std::string& text) {
  return SameName(text, Mark()) ||
         TheHost().IsLibraryVariable(text.substr(0, text.find('=')).c_str());
}

void* InArenaOrThrow(std::size_t size) {
  void* memory = arena::Allocate(size);
  if (memory == nullptr) throw ImageError("there is no memory for the environment");
  return memory;
}

char* Keep(const Variable& variable) {
  if (InArena(variable.place)) return variable.place;
  const std::size_t size = variable.text.size() + 1;
  return static_cast<char*>(std::memcpy(InArenaOrThrow(size), variable.text.c_str(), size));
}

}  // namespace

std::vector<std::string> ReadEnvironment() {
  std::vector<std::string> variables;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry)
    variables.emplace_back(*entry);
  return variables;
}

std::vector<std::byte> CaptureEnvironment() {
  Encoder encoder;
  const std::vector<std::string> texts = ReadEnvironment();
  encoder.Value<std::uint64_t>(texts.size());
  for (std::size_t i = 0; i < texts.size(); ++i) encoder.Value(environ[i]).Text(texts[i]);
  return encoder.Take();
}

void RestoreEnvironment(std::span<const std::byte> state,
                        const std::vector<std::string>& started_with) {
  Decoder decoder(state, "environment");
  std::vector<Variable> variables;
  std::vector<std::string> of_library;
  for (const std::string& text : started_with)
    if (IsLibrarys(text)) of_library.push_back(SameName(text, Mark()) ? Mark() : text);
  for (std::uint64_t left = decoder.Count(16); left > 0; --left) {
    Variable variable{};
    variable.place = decoder.Value<char*>();
    variable.text = decoder.Text();
    if (IsLibrarys(variable.text)) {
      const auto now = std::find_if(of_library.begin(), of_library.end(), [&](const auto& text) {
        return SameName(text, variable.text);
      });
      if (now == of_library.end()) continue;
      variable = {nullptr, *now};
      of_library.erase(now);
    }
    variables.push_back(std::move(variable));
  }
  for (const std::string& text : of_library) variables.push_back({nullptr, text});
  auto** table = static_cast<char**>(InArenaOrThrow((variables.size() + 1) * sizeof(char*)));
  std::size_t count = 0;
  for (const Variable& variable : variables) table[count++] = Keep(variable);
  table[count] = nullptr;
  environ = table;
}

}  // namespace ftmpi::image
