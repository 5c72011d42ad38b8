/* Firmware that runs one model of target c: inputs come over the serial line, its cycles and its outputs go back. */
#include "core_model.h"
#include "hardware.h"

static void receive(void *to, uint32_t count) {
  uint8_t *at = to;
  while (count > 0) {
    uint32_t got = hw_read(EDGE_SYSTEM_UART_DATA);
    if (got >> 31) continue; /* nothing has come yet */
    *at++ = (uint8_t)got;
    count--;
  }
}

static void send(const void *from, uint32_t count) {
  const uint8_t *at = from;
  for (; count > 0; count--) {
    while (hw_read(EDGE_SYSTEM_UART_STATUS) & 1) {
    }
    hw_write(EDGE_SYSTEM_UART_DATA, *at++);
  }
}

int main(void) {
  for (;;) {
    core_receive(receive);
    uint32_t cycles = hw_read(EDGE_SYSTEM_TIMER);
    core_run();
    cycles = hw_read(EDGE_SYSTEM_TIMER) - cycles;
    send(&cycles, sizeof cycles);
    core_send(send);
  }
}
