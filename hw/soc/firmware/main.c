/* The firmware: bytes in, frames out; a frame that stops in the middle is given up after a sixteenth of a second. */
#include "commands.h"
#include "hardware.h"

static device_t device;
static receiver_t receiver;

int main(void) {
  crc_begin();
  uint32_t second = hw_read(EDGE_SYSTEM_CPU_HZ), patience = second >> 4;
  uint32_t last = hw_read(EDGE_SYSTEM_TIMER);
  for (;;) {
    hw_write(EDGE_SYSTEM_WATCHDOG, second);
    uint32_t byte = hw_read(EDGE_SYSTEM_UART_DATA);
    if (byte >> 31) {
      if (receiver.started && hw_read(EDGE_SYSTEM_TIMER) - last > patience && receive_abandon(&receiver))
        device_refuse(&device, EDGE_REASON_INTERRUPTED);
      continue;
    }
    last = hw_read(EDGE_SYSTEM_TIMER);
    int verdict = receive_byte(&receiver, (uint8_t)byte);
    if (verdict == FRAME_NONE) continue;
    if (verdict == FRAME_GOOD)
      device_request(&device, &receiver.frame);
    else
      device_refuse(&device, (uint32_t)verdict);
  }
}
