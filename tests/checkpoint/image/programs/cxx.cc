// Static constructors and destructors, exceptions after a restore, iostreams, containers, virtual
// functions, thread_local, locales.
#include <algorithm>
#include <deque>
#include <functional>
#include <iomanip>
#include <iostream>
#include <list>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>
#include <unordered_map>
#include <vector>

#include "checkpoint.h"

namespace {

struct Announced {
  explicit Announced(std::string text) : text_(std::move(text)) {
    std::cout << "made " << text_ << '\n';
  }
  ~Announced() { std::cout << "destroyed " << text_ << '\n'; }
  std::string text_;
};

Announced first("a static object with a name that is too long for the small string");
std::map<std::string, std::vector<double>> table = {{"x", {1, 2, 3}}, {"y", {4, 5}}};
Announced second("another static object");

Announced& Late() {
  static Announced late("a static object in a function");
  return late;
}

thread_local Announced local("a thread_local object");
thread_local int thread_counter = 40;
thread_local int thread_zero;

class Shape {
 public:
  virtual ~Shape() = default;
  virtual double Area() const = 0;
  virtual std::string Name() const { return "shape"; }
};
class Square : public Shape {
 public:
  explicit Square(double side) : side_(side) {}
  double Area() const override { return side_ * side_; }
  std::string Name() const override { return "square"; }

 private:
  double side_;
};
class Circle : public Shape {
 public:
  explicit Circle(double radius) : radius_(radius) {}
  double Area() const override { return 3.14159 * radius_ * radius_; }

 private:
  double radius_;
};

struct Problem : std::runtime_error {
  using std::runtime_error::runtime_error;
};

int Deep(int depth) {
  std::string text(static_cast<std::size_t>(depth) * 7, 'q');
  if (depth == 0) {
    CHECKPOINT();
    throw Problem("thrown after the checkpoint");
  }
  return Deep(depth - 1) + static_cast<int>(text.size());
}

}  // namespace

int main() {
  std::vector<std::unique_ptr<Shape>> shapes;
  std::unordered_map<int, std::string> words;
  std::list<std::string> list;
  std::set<std::string> set;
  std::deque<int> queue;
  std::mt19937_64 generator(12345);
  std::ostringstream record;
  std::function<double(double)> function = [&](double x) {
    return x * static_cast<double>(shapes.size());
  };
  std::exception_ptr kept;
  auto shared = std::make_shared<std::string>("shared");
  std::weak_ptr<std::string> weak = shared;
  std::cout << std::fixed << std::setprecision(12);

  for (int round = 0; round < 3; ++round) {
    shapes.push_back(std::make_unique<Square>(1.5 + round));
    shapes.push_back(std::make_unique<Circle>(0.5 + round));
    for (int i = 0; i < 300; ++i) {
      words[i * 7 + round] = std::to_string(generator() % 100000);
      list.push_front(words[i * 7 + round]);
      set.insert(std::string(30, static_cast<char>('a' + generator() % 26)) + list.front());
      queue.push_back(i);
      if (i % 3 == 0) queue.pop_front();
    }
    table["z" + std::to_string(round)].assign(100, 0.5 * round);
    ++thread_counter;
    ++thread_zero;
    local.text_ += "!";
    try {
      Deep(10 + round);
    } catch (const Problem& problem) {
      std::cout << "caught: " << problem.what() << '\n';
      kept = std::current_exception();
    }
    CHECKPOINT();
    try {
      std::rethrow_exception(kept);
    } catch (const std::exception& problem) {
      std::cout << "kept: " << problem.what() << '\n';
    }
    try {
      table.at("no such key");
    } catch (const std::out_of_range&) {
      std::cout << "out of range\n";
    }
    if (round == 1) Late().text_ += " (used)";
    double area = 0;
    for (const auto& shape : shapes)
      area += shape->Area() + static_cast<double>(shape->Name().size());
    record << round << ' ' << std::hex << generator() << std::dec << ' ' << function(2.5) << ';';
    std::size_t letters = 0;
    for (const auto& word : set) letters += word.size();
    std::cout << "round " << round << " area " << area << " words " << words.size() << " letters "
              << letters << " queue " << queue.size() << " front " << queue.front() << " list "
              << *std::next(list.begin(), 5) << " tls " << thread_counter << ' ' << thread_zero
              << ' ' << weak.lock()->size() << ' ' << dynamic_cast<Circle*>(shapes[1].get())->Area()
              << '\n';
  }
  std::cout << record.str() << std::endl;
  std::wcerr << L"";
  std::cout.imbue(std::locale::classic());
  std::cout << table.size() << ' ' << std::boolalpha << (shared.use_count() == 1) << '\n';
  return 0;
}
