// The plug-in of programs/plugin.c.
#include <iostream>
#include <string>
#include <vector>

namespace {

struct Announced {
  Announced() { std::cout << "plug-in made\n" << std::flush; }
  ~Announced() {
    std::cout << "plug-in destroyed with " << words.size() << " words\n" << std::flush;
  }
  std::vector<std::string> words;
};

Announced announced;
int counter = 10;
thread_local int local = 1000;

}  // namespace

extern "C" {
int plugin_shared = 5;

int plugin_next() {
  announced.words.push_back("a word that is longer than the small string");
  return ++counter + ++local;
}

const char* plugin_text(int count) {
  static std::string text;
  for (int i = 0; i < count; ++i) text += std::to_string(i * plugin_shared);
  return text.c_str();
}
}
