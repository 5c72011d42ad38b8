/* The serial line; the watchdog is fed here, since whatever comes the firmware comes back to it. */
#include "link.h"

#include "hardware.h"

void link_begin(link_t *link) {
  crc_begin();
  link->second = hw_read(EDGE_SYSTEM_CPU_HZ);
  link->last = hw_read(EDGE_SYSTEM_TIMER);
}

void link_poll(link_t *link) {
  hw_write(EDGE_SYSTEM_WATCHDOG, link->second);
  uint32_t byte = hw_read(EDGE_SYSTEM_UART_DATA), now = hw_read(EDGE_SYSTEM_TIMER);
  if (byte >> 31) {
    if (now - link->last > link->second >> 4 && receive_abandon(&link->receiver))
      device_refuse(&link->device, EDGE_REASON_INTERRUPTED);
    return;
  }
  link->last = now;
  int verdict = receive_byte(&link->receiver, (uint8_t)byte);
  if (verdict == FRAME_GOOD)
    device_request(&link->device, &link->receiver.frame);
  else if (verdict != FRAME_NONE)
    device_refuse(&link->device, (uint32_t)verdict);
}
