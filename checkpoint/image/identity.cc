#include "checkpoint/image/identity.h"

#include <algorithm>
#include <cstdio>

#include "checkpoint/image/codec.h"

namespace ftmpi::image {
namespace {

std::string Hexadecimal(std::uint64_t value) {
  char text[32];
  std::snprintf(text, sizeof text, "0x%lx", static_cast<unsigned long>(value));
  return text;
}

// Why `now` can't take the place of `then`, or an empty text.
std::string Difference(const Module& then, const Module& now) {
  if (then.build_id != now.build_id || (then.build_id.empty() && then.size != now.size)) {
    return now.path + " is another build (build id " +
           (now.build_id.empty() ? "none" : now.build_id) + ", in the image " +
           (then.build_id.empty() ? "none" : then.build_id) + ")";
  }
  if (then.base != now.base || then.memory.end != now.memory.end)
    return now.path + " is at " + Hexadecimal(now.base) + ", in the image at " +
           Hexadecimal(then.base);
  if (!then.system && then.thread_local_data.begin != now.thread_local_data.begin)
    return "the thread-local data of " + now.path + " is at " +
           Hexadecimal(now.thread_local_data.begin) + ", in the image at " +
           Hexadecimal(then.thread_local_data.begin);
  return {};
}

}  // namespace

std::vector<std::byte> EncodeModules(const std::vector<Module>& modules) {
  Encoder encoder;
  encoder.Value<std::uint64_t>(modules.size());
  for (const Module& module : modules) {
    encoder.Text(module.path).Text(module.build_id).Value(module.base).Value(module.memory);
    encoder.Value(module.size).Value(module.executable).Value(module.system);
    encoder.Value(module.startup).Value(module.thread_local_data).Value(module.thread_local_id);
    encoder.Value(module.handle).Value(module.thread_local_block).Text(module.soname);
    encoder.Value<std::uint64_t>(module.needed.size());
    for (const std::string& name : module.needed) encoder.Text(name);
  }
  return encoder.Take();
}

std::vector<Module> DecodeModules(std::span<const std::byte> bytes) {
  Decoder decoder(bytes, "list of modules");
  std::vector<Module> modules(decoder.Count(16));
  for (Module& module : modules) {
    module.path = decoder.Text();
    module.build_id = decoder.Text();
    module.base = decoder.Value<std::uint64_t>();
    module.memory = decoder.Value<AddressRange>();
    module.size = decoder.Value<std::uint64_t>();
    module.executable = decoder.Value<bool>();
    module.system = decoder.Value<bool>();
    module.startup = decoder.Value<bool>();
    module.thread_local_data = decoder.Value<AddressRange>();
    module.thread_local_id = decoder.Value<std::uint64_t>();
    module.handle = decoder.Value<void*>();
    module.thread_local_block = decoder.Value<void*>();
    module.soname = decoder.Text();
    module.needed.resize(decoder.Count(8));
    for (std::string& name : module.needed) name = decoder.Text();
    module.file_name = module.path.substr(module.path.rfind('/') + 1);
  }
  return modules;
}

void RequireSameModules(const std::vector<Module>& image, const std::vector<Module>& process) {
  std::string differences;
  const auto add = [&differences](const std::string& text) {
    if (text.empty()) return;
    if (!differences.empty()) differences += "; ";
    differences += text;
  };
  for (const Module& then : image) {
    if (!then.startup) continue;
    const auto now = std::find_if(process.begin(), process.end(), [&](const Module& module) {
      return module.executable ? then.executable : module.file_name == then.file_name;
    });
    if (now == process.end()) {
      add(then.path + " is not loaded");
    } else {
      add(Difference(then, *now));
    }
  }
  if (differences.empty()) return;
  throw ImageError("the image was taken of another program or machine: " + differences +
                   ". Restart with the same executable, libraries, kernel and ulimit -s");
}

}  // namespace ftmpi::image
