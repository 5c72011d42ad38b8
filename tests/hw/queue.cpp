// A queue alone: entries are put into it, and none is taken.
#include <cstdint>

#include "Vfifo.h"
#include "assertions.h"
#include "verilated.h"

// Whether an assertion fails while `pushes` entries come.
extern "C" int edge_queue_push(int64_t pushes) {
  VerilatedContext context;
  Vfifo queue(&context);
  assertion_failed = false;
  for (int64_t cycle = -4; cycle < pushes; cycle++) {
    queue.reset = cycle < 0;
    queue.push = cycle >= 0;
    queue.pop = 0;
    for (int level = 0; level < 2; level++) {
      queue.clk = level;
      queue.eval();
    }
  }
  return assertion_failed;
}
