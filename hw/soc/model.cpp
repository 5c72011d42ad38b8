// The Verilated system behind a C interface: two clocks, a serial line, a sample port.
#include <algorithm>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "Vsoc.h"
#include "assertions.h"
#include "stream.h"
#include "verilated.h"

namespace {

constexpr int kBits = 10;  // of a byte on the line: start, data, stop

// The other end of the serial line, bit by bit.
struct Line {
  uint32_t divider;
  std::deque<uint8_t> to_send;
  std::vector<uint8_t> received;
  uint32_t out = 0, out_bits = 0, out_count = 0;
  uint32_t in = 0, in_bits = 0, in_count = 0;
  uint64_t silence = 0;  // cycles since something moved

  uint8_t drive() {
    if (out_bits == 0 && !to_send.empty()) {
      out = to_send.front() << 1 | 1u << (kBits - 1);
      out_bits = kBits;
      out_count = divider;
      to_send.pop_front();
    }
    if (out_bits == 0) return 1;
    silence = 0;
    uint8_t level = out & 1;
    if (--out_count == 0) {
      out >>= 1;
      out_bits--;
      out_count = divider;
    }
    return level;
  }

  void watch(uint8_t level) {
    silence++;
    if (in_bits == 0) {
      if (level) return;
      in_bits = kBits;
      in_count = divider / 2;
    }
    silence = 0;
    if (in_count-- != 0) return;
    in_count = divider - 1;
    in = in >> 1 | (level ? 1u << (kBits - 1) : 0);
    if (--in_bits == 0) received.push_back(in >> 1 & 0xff);
  }
};

struct Model {
  VerilatedContext context;
  std::unique_ptr<Vsoc> top;
  Line line;
  uint64_t cpu_half, array_half, next_cpu = 0, next_array = 0, cpu_cycles = 0, array_cycles = 0;

  Model(const char *firmware, uint32_t cpu, uint32_t array, uint32_t divider) : cpu_half(cpu), array_half(array) {
    const std::string argument = std::string("+firmware=") + firmware;
    const char *arguments[] = {"soc", argument.c_str()};
    context.commandArgs(2, arguments);
    top = std::make_unique<Vsoc>(&context);
    line.divider = divider;
    top->uart_rx = 1;
    top->cpu_reset = top->array_reset = 1;
    while (cpu_cycles < 8 || array_cycles < 8) step();
    top->cpu_reset = top->array_reset = 0;
    // Everything that was undefined at the start has left the pipeline.
    for (uint64_t start = array_cycles; array_cycles < start + 64;) step();
  }

  // The next edges; true where the array's clock rises.
  bool step() {
    const uint64_t now = next_cpu < next_array ? next_cpu : next_array;
    const bool cpu = next_cpu == now, array = next_array == now;
    if (cpu) next_cpu += cpu_half;
    if (array) next_array += array_half;
    const bool cpu_rises = cpu && !top->cpu_clk, array_rises = array && !top->array_clk;
    if (cpu_rises) {
      top->uart_rx = line.drive();
      cpu_cycles++;
    }
    if (array_rises) array_cycles++;
    if (cpu) top->cpu_clk = !top->cpu_clk;
    if (array) top->array_clk = !top->array_clk;
    top->eval();
    if (cpu_rises) line.watch(top->uart_tx);
    return array_rises;
  }
};

}  // namespace

extern "C" {

// Clocks by their half periods, in one unit; `divider`: cycles of the processor's clock for a bit.
void *edge_soc_new(const char *firmware, uint32_t cpu_half, uint32_t array_half, uint32_t divider) {
  assertion_failed = false;
  return new Model(firmware, cpu_half, array_half, divider);
}

void edge_soc_clocks(void *handle, uint32_t cpu_half, uint32_t array_half) {
  Model &model = *static_cast<Model *>(handle);
  model.cpu_half = cpu_half;
  model.array_half = array_half;
}

void edge_soc_delete(void *handle) { delete static_cast<Model *>(handle); }

uint64_t edge_soc_cycles(void *handle, int array) {
  Model &model = *static_cast<Model *>(handle);
  return array ? model.array_cycles : model.cpu_cycles;
}

void edge_soc_write(void *handle, const uint8_t *data, int64_t n) {
  Line &line = static_cast<Model *>(handle)->line;
  line.to_send.insert(line.to_send.end(), data, data + n);
}

int64_t edge_soc_unsent(void *handle) { return static_cast<Model *>(handle)->line.to_send.size(); }

// Runs until bytes have come and the line has been silent for three bytes, or for `most_cycles` of the processor; the
// bytes, as many as `capacity` holds, and their number. -1: an assertion of the RTL failed.
int64_t edge_soc_read(void *handle, uint8_t *data, int64_t capacity, uint64_t most_cycles) {
  Model &model = *static_cast<Model *>(handle);
  Line &line = model.line;
  const uint64_t end = model.cpu_cycles + most_cycles, quiet = 3 * kBits * line.divider;
  while (model.cpu_cycles < end && (line.received.empty() || line.silence < quiet)) {
    model.step();
    if (assertion_failed) return -1;
  }
  const int64_t n = std::min<int64_t>(capacity, line.received.size());
  std::copy(line.received.begin(), line.received.begin() + n, data);
  line.received.erase(line.received.begin(), line.received.begin() + n);
  return n;
}

// Feeds the sample port for n cycles of the array's clock (stream.h); -1: an assertion of the RTL failed.
int64_t edge_soc_feed(void *handle, int64_t n, const uint32_t *words, uint64_t *events, int64_t capacity) {
  Model &model = *static_cast<Model *>(handle);
  Vsoc &top = *model.top;
  const auto cycle = [&](const PortInput &given, std::optional<uint64_t> &event) -> int {
    top.sample = given.sample;
    top.sample_valid = given.valid;
    top.trigger = given.trigger;
    top.event_ready = given.event_ready;
    bool rose = false;
    while (!rose) {
      // What stands before the edge is what the edge takes.
      const bool taken = !top.array_clk && top.event_valid && top.event_ready;
      const uint64_t word = event_word(top.event_data, top.event_last);
      rose = model.step();
      if (rose && taken) event = word;
    }
    return assertion_failed ? -1 : 0;
  };
  const int64_t found = feed_port(n, words, events, capacity, cycle);
  top.sample_valid = top.trigger = top.event_ready = 0;
  return found;
}

}  // extern "C"
