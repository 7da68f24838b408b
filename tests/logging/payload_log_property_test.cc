// Random sequences of operations against a list as the model.
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <map>
#include <vector>

#include "logging/payload_log.h"
#include "tests/logging/storage_test_util.h"

namespace ftmpi::logging {
namespace {

struct Model {
  std::vector<Message> messages;
  std::map<int, std::uint64_t> next_ssn;
  std::map<int, std::uint64_t> trimmed;
  std::uint64_t interval = 0;
};

// What is in the log: in order, nothing that was not sent, and everything that was not trimmed.
void CheckAgainst(const Model& model, PayloadLog* log) {
  const std::vector<Message> found = ReadAll(log);
  RC_ASSERT(found.size() == log->record_count());
  std::size_t next = 0;
  for (const Message& message : model.messages) {
    if (next < found.size() && found[next] == message) {
      ++next;
    } else {
      const auto trimmed = model.trimmed.find(message.destination);
      RC_ASSERT(trimmed != model.trimmed.end() && message.ssn <= trimmed->second);
    }
  }
  RC_ASSERT(next == found.size());
}

RC_GTEST_PROP(PayloadLogProperty, BehavesAsAList, ()) {
  const TemporaryDirectory memory;
  const TemporaryDirectory spill;
  PayloadLogOptions options;
  options.directory = memory.path();
  options.spill_directory = spill.path();
  options.rank = 2;
  options.job = 99;
  options.memory = 1 << 20;
  options.segment_size = 32 << 10;
  std::unique_ptr<PayloadLog> log = PayloadLog::Create(Environment::Posix(), options);
  Model model;
  LogRecord* pinned = nullptr;
  Message pinned_message;

  const int steps = *rc::gen::inRange(1, 60);
  for (int step = 0; step < steps; ++step) {
    switch (*rc::gen::inRange(0, 7)) {
      case 0:
      case 1:
      case 2: {  // a run of messages
        const int count = *rc::gen::inRange(1, 30);
        const auto length = *rc::gen::element<std::uint64_t>(0, 8, 500, 4000, 20000, 60000);
        const int destination = *rc::gen::inRange(0, 3);
        for (int i = 0; i < count; ++i) {
          if (length > 10000 && i > 3) break;
          const Message message{destination, ++model.next_ssn[destination], length, model.interval};
          LogRecord* const record = Append(log.get(), message);
          model.messages.push_back(message);
          if (pinned == nullptr && i == 0) {
            log->Pin(record);
            pinned = record;
            pinned_message = message;
          }
        }
        ++model.interval;
        break;
      }
      case 3: {  // what is pinned is still what it was
        if (pinned == nullptr) break;
        RC_ASSERT(HeaderOf(*pinned) == pinned_message);
        RC_ASSERT(PayloadIs(*pinned, pinned_message));
        log->Unpin(pinned);
        pinned = nullptr;
        break;
      }
      case 4: {
        const int destination = *rc::gen::inRange(0, 3);
        const auto ssn = *rc::gen::inRange<std::uint64_t>(0, model.next_ssn[destination] + 1);
        log->Trim(destination, ssn);
        auto& trimmed = model.trimmed[destination];
        trimmed = std::max(trimmed, ssn);
        break;
      }
      case 5: {  // died and came back, in an earlier interval
        const auto last = *rc::gen::inRange<std::uint64_t>(0, model.interval + 2);
        pinned = nullptr;
        log.reset();
        log = PayloadLog::Recover(Environment::Posix(), options, last);
        RC_ASSERT(log->damage().empty());
        std::erase_if(model.messages,
                      [&](const Message& message) { return message.interval > last; });
        model.next_ssn.clear();
        for (const Message& message : model.messages) {
          model.next_ssn[message.destination] = message.ssn;
        }
        for (auto& [destination, ssn] : model.trimmed) {
          // A message that was trimmed and dropped may be sent again by this model under the same
          // number only if it was cut off too: the numbers go on behind what was trimmed.
          model.next_ssn[destination] = std::max(model.next_ssn[destination], ssn);
        }
        model.interval = std::min(model.interval, last);
        break;
      }
      default:
        while (log->PrepareAhead()) {
        }
        break;
    }
    RC_ASSERT(log->bytes_in_memory() <= options.memory);
  }
  if (pinned != nullptr) log->Unpin(pinned);
  CheckAgainst(model, log.get());
  log->Remove();
  RC_ASSERT(memory.Names().empty());
  RC_ASSERT(spill.Names().empty());
}

}  // namespace
}  // namespace ftmpi::logging
