/* The array through its registers. */
#include "network.h"

#include "hardware.h"

void watchdog_feed(void) { hw_write(EDGE_SYSTEM_WATCHDOG, hw_read(EDGE_SYSTEM_CPU_HZ)); }

void array_reset(void) {
  hw_write(EDGE_ARRAY_RESET, 1);
  /* An access takes four cycles of the array's clock at least; the reset lasts 64. */
  for (int i = 0; i < 20; i++) (void)hw_read(EDGE_ARRAY_STATUS);
}

void bus_begin(uint32_t select, uint32_t address, uint32_t step) {
  hw_write(EDGE_ARRAY_BUS_SELECT, select);
  hw_write(EDGE_ARRAY_BUS_ADDRESS, address);
  hw_write(EDGE_ARRAY_BUS_STEP, step);
}

void bus_write(uint32_t low, uint32_t high) {
  hw_write(EDGE_ARRAY_BUS_LOW, low);
  hw_write(EDGE_ARRAY_BUS_HIGH, high);
}

/* The next `count` words of 8 bytes of a sample; the caller knows that they fit. */
void network_put(network_t *network, const uint32_t *pairs, uint32_t count) {
  network->next_input += count;
  while (count != 0) {
    uint32_t room = network->words[network->segment] - network->within;
    uint32_t now = count < room ? count : room;
    bus_begin(EDGE_BUS_ACTIVATIONS, network->base[network->segment] + (network->within << 3), 8);
    for (uint32_t i = 0; i < now; i++, pairs += 2) bus_write(pairs[0], pairs[1]);
    network->within += now;
    count -= now;
    if (network->within == network->words[network->segment]) {
      network->segment++;
      network->within = 0;
    }
  }
}

int network_run(const network_t *network) {
  uint32_t patience = (network->cycles << 4) + 65536;
  uint32_t start = hw_read(EDGE_SYSTEM_TIMER);
  bus_begin(EDGE_BUS_CONTROL, 0, 0);
  bus_write(1, 0);
  while (hw_read(EDGE_ARRAY_STATUS) & 1) {
    watchdog_feed();
    if (hw_read(EDGE_SYSTEM_TIMER) - start > patience) {
      array_reset();
      return 0;
    }
  }
  return 1;
}

uint32_t network_result(uint32_t index) {
  hw_write(EDGE_ARRAY_RESULT_ADDRESS, index >> 3);
  return hw_read(EDGE_ARRAY_RESULT_0 + ((index & 7) << 2));
}
