// Words of a sample port, the same for every simulation that has one (stream.py has them for Python).
#pragma once
#include <cstdint>
#include <optional>

// What stands at the port in a cycle.
struct PortInput {
  uint16_t sample;
  bool valid, trigger, event_ready;

  explicit PortInput(uint32_t word)
      : sample(word & 0xffff), valid(word >> 16 & 1), trigger(word >> 17 & 1), event_ready(word >> 18 & 1) {}
};

// A word of an event that came out.
inline uint64_t event_word(uint32_t data, bool last) { return data | static_cast<uint64_t>(last) << 32; }

// Feeds the port for n cycles, a word each. `cycle` simulates one: it takes a PortInput, sets the word of an event where
// one was taken, and returns 0 or a failure, which is negative. Words of events and their number, or the failure.
template <typename Cycle>
int64_t feed_port(int64_t n, const uint32_t *words, uint64_t *events, int64_t capacity, Cycle cycle) {
  int64_t found = 0;
  for (int64_t i = 0; i < n; i++) {
    std::optional<uint64_t> event;
    if (const int failure = cycle(PortInput(words[i]), event)) return failure;
    if (event && found < capacity) events[found++] = *event;
  }
  return found;
}
