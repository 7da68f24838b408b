// Runs companion_fake_rank as mpirun runs a rank: with pipes, or a pty, for its output.
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#include "tests/recovery/companion_temporary_directory.h"

namespace ftmpi::recovery {

class FakeRank {
 public:
  struct Setting {
    std::string job_directory;
    std::string local_directory;
    int rank = 0;
    std::string nodes = "a";  // one character per rank
    std::uint32_t epoch = 0;
    bool terminal = false;    // standard output is a pty
    bool with_input = false;  // standard input is a pipe (else /dev/null)
    bool merged = false;      // standard error is the same pipe as standard output
    std::map<std::string, std::string> environment;
  };

  FakeRank(const Setting& setting, const std::vector<std::string>& steps) {
    int output[2];
    int error[2];
    int input[2] = {-1, -1};
    if (setting.terminal) {
      if (openpty(&output[0], &output[1], nullptr, nullptr, nullptr) != 0) {
        throw std::runtime_error("openpty");
      }
      termios attributes{};
      tcgetattr(output[1], &attributes);
      cfmakeraw(&attributes);  // as mpirun does
      tcsetattr(output[1], TCSANOW, &attributes);
      fcntl(output[0], F_SETFD, FD_CLOEXEC);
      fcntl(output[1], F_SETFD, FD_CLOEXEC);
    } else if (pipe2(output, O_CLOEXEC) != 0) {
      throw std::runtime_error("pipe");
    }
    if (pipe2(error, O_CLOEXEC) != 0) throw std::runtime_error("pipe");
    if (setting.with_input && pipe2(input, O_CLOEXEC) != 0) throw std::runtime_error("pipe");
    std::map<std::string, std::string> variables = setting.environment;
    variables["TEST_JOBDIR"] = setting.job_directory;
    variables["TEST_LOCAL"] = setting.local_directory;
    variables["TEST_NODES"] = setting.nodes;
    variables["OMPI_COMM_WORLD_RANK"] = std::to_string(setting.rank);
    variables["OMPI_COMM_WORLD_SIZE"] = std::to_string(setting.nodes.size());
    variables["OMPI_COMM_WORLD_LOCAL_SIZE"] = std::to_string(setting.nodes.size());
    if (setting.epoch > 0) {
      variables["FTMPI_RECOVER_EPOCH"] = std::to_string(setting.epoch);
      variables["FTMPI_JOBDIR"] = setting.job_directory;
    }
    pid_ = fork();
    if (pid_ == 0) {
      setpgid(0, 0);
      dup2(setting.with_input ? input[0] : open("/dev/null", O_RDONLY | O_CLOEXEC), 0);
      dup2(output[1], 1);
      dup2(setting.merged ? output[1] : error[1], 2);
      for (const auto& [name, value] : variables) setenv(name.c_str(), value.c_str(), 1);
      std::vector<char*> arguments = {const_cast<char*>(COMPANION_FAKE_RANK)};
      for (const std::string& step : steps) arguments.push_back(const_cast<char*>(step.c_str()));
      arguments.push_back(nullptr);
      execv(COMPANION_FAKE_RANK, arguments.data());
      _exit(127);
    }
    close(output[1]);
    close(error[1]);
    if (input[0] >= 0) close(input[0]);
    output_ = output[0];
    error_ = error[0];
    input_ = input[1];
  }
  ~FakeRank() {
    CloseOutput();
    if (error_ >= 0) close(error_);
    CloseInput();
    if (!reaped_) {
      kill(pid_, SIGKILL);
      waitpid(pid_, nullptr, 0);
    }
  }
  FakeRank(const FakeRank&) = delete;
  FakeRank& operator=(const FakeRank&) = delete;

  // Reads both streams until `done` or both have ended. False: 60 s have passed.
  template <typename Done>
  bool ReadUntil(Done done) {
    while (!done()) {
      pollfd streams[2] = {{output_, POLLIN, 0}, {error_, POLLIN, 0}};
      if (output_ < 0 && error_ < 0) return true;
      if (poll(streams, 2, 60'000) <= 0) return false;
      if ((streams[0].revents) != 0 && !ReadSome(output_, &out)) CloseOutput();
      if ((streams[1].revents) != 0 && !ReadSome(error_, &err)) {
        close(error_);
        error_ = -1;
      }
    }
    return true;
  }
  // Until the companion has ended too, which holds both streams.
  bool ReadAll() {
    return ReadUntil([] { return false; });
  }
  // Status as of waitpid.
  int Wait() {
    int status = 0;
    waitpid(pid_, &status, 0);
    reaped_ = true;
    return status;
  }
  void Write(const std::string& text) const {
    if (write(input_, text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
      throw std::runtime_error("write to the rank");
    }
  }
  void CloseInput() {
    if (input_ >= 0) close(input_);
    input_ = -1;
  }
  void CloseOutput() {
    if (output_ >= 0) close(output_);
    output_ = -1;
  }
  void Kill(int signal) const { kill(pid_, signal); }
  [[nodiscard]] pid_t pid() const { return pid_; }

  std::string out;
  std::string err;

 private:
  static bool ReadSome(int file, std::string* text) {
    char buffer[65536];
    ssize_t got = read(file, buffer, sizeof buffer);
    // A pty can say so before its last bytes: OutputGate::Take().
    if (got < 0 && errno == EIO) got = read(file, buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) return true;
    if (got <= 0) return false;
    text->append(buffer, static_cast<std::size_t>(got));
    return true;
  }

  pid_t pid_ = -1;
  int output_ = -1;
  int error_ = -1;
  int input_ = -1;
  bool reaped_ = false;
};

}  // namespace ftmpi::recovery
