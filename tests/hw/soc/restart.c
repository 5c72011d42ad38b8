/* Firmware that stumbles until it has been started three times, then says how often. */
#include "hardware.h"

int main(void) {
  uint32_t restarts = hw_read(EDGE_SYSTEM_RESTARTS);
  if (restarts == 0) __asm__ volatile(".word 0"); /* no instruction */
  if (restarts == 1) __asm__ volatile("lui t0, 0x30000\n sw zero, 1(t0)" ::: "t0", "memory"); /* no place of a word */
  if (restarts == 2) {
    hw_write(EDGE_SYSTEM_WATCHDOG, 1000);
    for (;;) {
    }
  }
  hw_write(EDGE_SYSTEM_UART_DATA, '0' + restarts);
  for (;;) {
  }
}
