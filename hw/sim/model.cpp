// The Verilated accelerator behind a C interface: memories are loaded and samples run at the speed of the simulation.
#include <cstdint>
#include <cstring>
#include <memory>

#include "Vaccelerator.h"
#include "assertions.h"
#include "verilated.h"

namespace {

constexpr uint32_t kControl = 0, kActivations = 1;
constexpr int kBytesPerWord = 8, kResultsPerWord = 8;
constexpr int kResultTicks = 10;  // from the address of a result word to the word, in any configuration: LANES + 2

struct Model {
  VerilatedContext context;
  std::unique_ptr<Vaccelerator> top;

  Model() : top(new Vaccelerator(&context)) {
    top->clk = 0;
    top->reset = 1;
    top->bus_write = 0;
    for (int i = 0; i < 4; i++) tick();
    top->reset = 0;
    // Everything that was undefined at the start has left the pipeline.
    for (int i = 0; i < 64; i++) tick();
  }

  void tick() {
    top->clk = 0;
    top->eval();
    top->clk = 1;
    top->eval();
  }

  void write(uint32_t select, uint32_t address, uint64_t data) {
    top->bus_write = 1;
    top->bus_select = select;
    top->bus_address = address;
    top->bus_data = data;
    tick();
    top->bus_write = 0;
  }
};

}  // namespace

extern "C" {

void *edge_sim_new() { return new Model; }

void edge_sim_delete(void *handle) { delete static_cast<Model *>(handle); }

// Bus writes: n times (select, address, data). Returns 0; 2 where an assertion of the RTL failed.
int edge_sim_load(void *handle, int64_t n, const uint32_t *select, const uint32_t *address, const uint64_t *data) {
  Model &model = *static_cast<Model *>(handle);
  assertion_failed = false;
  for (int64_t i = 0; i < n; i++) model.write(select[i], address[i], data[i]);
  for (int i = 0; i < 4; i++) model.tick();  // the last one is in its memory
  return assertion_failed ? 2 : 0;
}

// Runs n samples, one after the other. A sample is `input_words` words of 8 bytes for the byte addresses in `places`;
// its results are the first `result_words` words of 8 int32. Returns 0; 1 where a network did not end in
// `most_cycles`; 2 where an assertion of the RTL failed.
int edge_sim_run(void *handle, int64_t n, int64_t input_words, const uint32_t *places, const uint64_t *inputs,
                 int64_t result_words, int32_t *results, uint32_t *cycles, uint64_t most_cycles) {
  Model &model = *static_cast<Model *>(handle);
  Vaccelerator &top = *model.top;
  assertion_failed = false;
  for (int64_t sample = 0; sample < n; sample++) {
    for (int64_t i = 0; i < input_words; i++) model.write(kActivations, places[i], inputs[sample * input_words + i]);
    model.tick();  // the last word is in memory
    model.write(kControl, 0, 1);
    uint64_t waited = 0;
    while (top.busy) {
      model.tick();
      if (assertion_failed) return 2;
      if (++waited > most_cycles) return 1;
    }
    if (assertion_failed) return 2;
    cycles[sample] = top.cycles;
    for (int64_t word = 0; word < result_words; word++) {
      top.result_address = word;
      for (int i = 0; i < kResultTicks; i++) model.tick();
      std::memcpy(results + (sample * result_words + word) * kResultsPerWord, &top.result_data[0],
                  kResultsPerWord * sizeof(int32_t));
    }
  }
  return 0;
}

}  // extern "C"
