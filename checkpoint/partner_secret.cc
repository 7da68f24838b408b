#include "checkpoint/partner_secret.h"

#include <fcntl.h>
#include <sys/random.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

namespace ftmpi::checkpoint {
namespace {

std::string PathOfSecret(const std::string& job_directory) {
  return job_directory + "/" + kPartnerSecretName;
}

}  // namespace

std::string DrawPartnerSecret(const std::string& job_directory, std::string* error) {
  std::array<unsigned char, kPartnerSecretLength / 2> random{};
  if (getrandom(random.data(), random.size(), 0) != static_cast<ssize_t>(random.size())) {
    *error = std::string("no random numbers for the checkpoint servers: ") + std::strerror(errno);
    return "";
  }
  constexpr char kDigits[] = "0123456789abcdef";
  std::string secret;
  for (const unsigned char byte : random) {
    secret += kDigits[byte >> 4U];
    secret += kDigits[byte & 15U];
  }
  const std::string path = PathOfSecret(job_directory);
  unlink(path.c_str());  // so that the new one has the mode that it must have
  const int file = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  const bool written =
      file >= 0 &&
      write(file, secret.data(), secret.size()) == static_cast<ssize_t>(secret.size()) &&
      fsync(file) == 0;
  const int reason = errno;
  if (file >= 0) close(file);
  if (written) return secret;
  *error = path + ": can't be written: " + std::strerror(reason);
  return "";
}

std::string ReadPartnerSecret(const std::string& job_directory, std::string* error) {
  const std::string path = PathOfSecret(job_directory);
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  std::array<char, kPartnerSecretLength + 1> text{};
  const ssize_t got = file < 0 ? -1 : read(file, text.data(), text.size());
  const int reason = errno;
  if (file >= 0) close(file);
  if (got < 0) {
    *error = path + ": can't be read: " + std::strerror(reason) +
             "; it belongs to the job, put it back or leave partner out of FT_CKPT_LEVELS";
    return "";
  }
  std::string secret(text.data(), static_cast<std::size_t>(got));
  if (secret.size() == kPartnerSecretLength &&
      secret.find_first_not_of("0123456789abcdef") == std::string::npos) {
    return secret;
  }
  *error = path + ": is damaged: it should hold " + std::to_string(kPartnerSecretLength) +
           " hexadecimal digits";
  return "";
}

}  // namespace ftmpi::checkpoint
