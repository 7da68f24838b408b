// What must hold at every step: the job can be restarted from what is on storage.
#include "tests/checkpoint/simulator/world.h"

namespace ftmpi::checkpoint::simulator {

void World::Violated(const std::string& what) {
  if (!result_.violation.empty()) return;
  result_.violation = "step " + std::to_string(step_) + ": " + what;
}

// The last committed checkpoint is complete at every rank, consistent, and holds every message in
// transit exactly once.
void World::CheckRestart() {
  if (!dirty_ || commit_record_ == 0 || !result_.violation.empty()) return;
  dirty_ = false;
  ++result_.checks;
  for (int r = 0; r < options_.ranks; ++r) {
    const auto found = At(r).storage.find(commit_record_);
    if (found == At(r).storage.end() || !found->second.complete) {
      return Violated("the committed checkpoint " + std::to_string(commit_record_) +
                      " is not there at rank " + std::to_string(r));
    }
  }
  // The paper: after the commit the previous one can go. So there is the permanent one, and a
  // tentative one, or the one that a rank does not know yet to be replaced.
  for (int r = 0; r < options_.ranks; ++r) {
    if (At(r).storage.size() > 2) Violated("rank " + std::to_string(r) + " keeps too many");
  }
  for (int from = 0; from < options_.ranks; ++from) {
    for (int to = 0; to < options_.ranks; ++to) CheckChannel(from, to);
  }
}

void World::CheckChannel(int from, int to) {
  const Checkpoint& sender = At(from).storage.at(commit_record_);
  const Checkpoint& receiver = At(to).storage.at(commit_record_);
  const std::uint64_t sent = sender.state.sent[static_cast<std::size_t>(to)];
  const auto& received = receiver.state.received[static_cast<std::size_t>(from)];
  const std::string where = "checkpoint " + std::to_string(commit_record_) + ", rank " +
                            std::to_string(from) + " to rank " + std::to_string(to) + ": message ";
  std::vector<int> times(sent + 1, 0);
  for (const std::uint64_t number : received) {
    if (number > sent)
      return Violated(where + std::to_string(number) + " is received and not sent");
    ++times[number];
  }
  if (options_.keeper == Keeper::kReceiver) {
    for (const Copy& copy : receiver.saved) {
      if (copy.source != from) continue;
      if (copy.number > sent) {
        return Violated(where + std::to_string(copy.number) + " is saved and not sent");
      }
      ++times[copy.number];
    }
  } else {
    // A restart sends again what the cut records say.
    const MessageRange again = InTransit(sender.cut, receiver.cut);
    for (std::uint64_t number = again.first; number <= again.last; ++number) {
      if (number <= sender.log_from[static_cast<std::size_t>(to)]) {
        return Violated(where + std::to_string(number) +
                        " is not in the sender's checkpointed log");
      }
      ++times[number];
    }
    // When the receiver alone goes back, it is the live log that must have them.
    if (At(from).trimmed[static_cast<std::size_t>(to)] > received.size()) {
      return Violated(where + std::to_string(received.size() + 1) +
                      " is not in the sender's log any more");
    }
  }
  for (std::uint64_t number = 1; number <= sent; ++number) {
    if (times[number] == 0) return Violated(where + std::to_string(number) + " is lost");
    if (times[number] > 1) return Violated(where + std::to_string(number) + " would come twice");
  }
}

// The participants' counts are those of the program.
void World::CheckCounts() {
  if (options_.defect == Defect::kCountsNotRestored) return;
  for (int r = 0; r < options_.ranks; ++r) {
    Rank& at = At(r);
    if (at.stopped) continue;
    for (int peer = 0; peer < options_.ranks; ++peer) {
      const Channel& channel = *at.participant->ChannelOf(peer);
      if (channel.sent != at.state.sent[static_cast<std::size_t>(peer)] ||
          channel.received != at.state.received[static_cast<std::size_t>(peer)].size()) {
        return Violated("rank " + std::to_string(r) + " counts " + std::to_string(channel.sent) +
                        " messages to and " + std::to_string(channel.received) +
                        " messages from rank " + std::to_string(peer));
      }
    }
  }
}

}  // namespace ftmpi::checkpoint::simulator
