/* Registers of the system for the firmware on this machine. The array is replaced by a function of everything that was
 * written, so a byte that is lost, doubled or changed on the way changes every result.
 *
 * Standard input: a length of 4 bytes, and so many that come over the serial line; length 0: nothing comes for long.
 * Standard output: the same for what the firmware sends back.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hardware.h"
#include "link.h"

enum { ENTRIES = 8192, RESULTS = 4096, LINE = 1 << 20 };

static struct { uint64_t key, data; uint8_t used; } entries[ENTRIES];
static uint32_t used;
static uint64_t state; /* exclusive or of what all entries mix to */
static uint32_t results[RESULTS], cycles;
static uint32_t select_, address, step, low, result_word, timer, divider, leds, busy;
static uint8_t in[LINE], out[LINE];
static uint32_t in_length, in_next, out_length, silent;

static uint64_t mix(uint64_t value) {
  value += 0x9e3779b97f4a7c15u;
  value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9u;
  value = (value ^ value >> 27) * 0x94d049bb133111ebu;
  return value ^ value >> 31;
}

static void store(uint64_t key, uint64_t data) {
  if (used > ENTRIES / 2) { /* only requests at random come here */
    memset(entries, 0, sizeof entries);
    used = 0;
  }
  uint32_t at = mix(key) % ENTRIES;
  while (entries[at].used && entries[at].key != key) at = (at + 1) % ENTRIES;
  if (entries[at].used) state ^= mix(key ^ mix(entries[at].data));
  used += !entries[at].used;
  entries[at].used = 1;
  entries[at].key = key;
  entries[at].data = data;
  state ^= mix(key ^ mix(data));
}

static void compute(void) {
  for (uint32_t i = 0; i < RESULTS; i++) results[i] = (uint32_t)mix(state + i);
  cycles = (uint32_t)mix(state + RESULTS);
  busy = 3;
  /* The array writes over its inputs: a sample must not be run twice. */
  for (uint32_t i = 0; i < ENTRIES; i++)
    if (entries[i].used && entries[i].key >> 32 == EDGE_BUS_ACTIVATIONS) store(entries[i].key, ~entries[i].data);
}

static void fail(const char *what, uint32_t where) {
  fprintf(stderr, "%s 0x%08x\n", what, where);
  exit(3);
}

uint32_t hw_read(uint32_t where) {
  switch (where) {
    case EDGE_SYSTEM_IDENT: return EDGE_IDENT;
    case EDGE_SYSTEM_CPU_HZ: return 1000000;
    case EDGE_SYSTEM_TIMER: return timer += silent ? 70000 : 10;
    case EDGE_SYSTEM_UART_DATA: return in_next < in_length ? in[in_next++] : 0x80000000u;
    case EDGE_SYSTEM_UART_STATUS: return 0;
    case EDGE_SYSTEM_RESTARTS:
    case EDGE_SYSTEM_UART_FAULTS: return 0;
    case EDGE_ARRAY_SIZES_0: return 256u << 16 | 8u << 8 | 16u;
    case EDGE_ARRAY_SIZES_1: return 32768;
    case EDGE_ARRAY_SIZES_2: return 512u << 16 | 2048u;
    case EDGE_ARRAY_SIZES_3: return 1024u << 16 | 512u;
    case EDGE_ARRAY_STATUS: return busy ? (busy--, 1) : 0;
    case EDGE_ARRAY_CYCLES: return cycles;
    case EDGE_ARRAY_STREAM:
    case EDGE_ARRAY_TRIGGERS:
    case EDGE_ARRAY_LOST_OPEN:
    case EDGE_ARRAY_LOST_FULL:
    case EDGE_ARRAY_EVENT_LEVEL:
    case EDGE_ARRAY_EVENT_DATA: return 0;
    default: break;
  }
  if (where >= EDGE_ARRAY_RESULT_0 && where <= EDGE_ARRAY_RESULT_7 && where % 4 == 0)
    return results[result_word * 8 + (where - EDGE_ARRAY_RESULT_0) / 4];
  fail("a read of", where);
  return 0;
}

void hw_write(uint32_t where, uint32_t value) {
  switch (where) {
    case EDGE_SYSTEM_UART_DATA:
      if (out_length == LINE) fail("too much is sent:", out_length);
      out[out_length++] = (uint8_t)value;
      break;
    case EDGE_SYSTEM_UART_DIVIDER: divider = value; break;
    case EDGE_SYSTEM_LEDS: leds = value; break;
    case EDGE_SYSTEM_WATCHDOG: break;
    case EDGE_ARRAY_BUS_SELECT: select_ = value; break;
    case EDGE_ARRAY_BUS_ADDRESS: address = value; break;
    case EDGE_ARRAY_BUS_STEP: step = value; break;
    case EDGE_ARRAY_BUS_LOW: low = value; break;
    case EDGE_ARRAY_BUS_HIGH:
      if (busy) fail("a bus write while the array works:", address);
      if (select_ == EDGE_BUS_CONTROL)
        compute();
      else
        store((uint64_t)select_ << 32 | address, (uint64_t)value << 32 | low);
      address += step;
      break;
    case EDGE_ARRAY_RESET: busy = 0; break;
    case EDGE_ARRAY_RESULT_ADDRESS:
      if (value >= RESULTS / 8) fail("a result beyond the memory:", value);
      result_word = value;
      break;
    case EDGE_ARRAY_WINDOW_SAMPLES:
    case EDGE_ARRAY_WINDOW_BEFORE:
    case EDGE_ARRAY_SAMPLE_OFFSET:
    case EDGE_ARRAY_PLACE_LOW:
    case EDGE_ARRAY_PLACE_HIGH:
    case EDGE_ARRAY_EVENT_VALUES:
    case EDGE_ARRAY_SAMPLE:
    case EDGE_ARRAY_STREAM: break;
    default: fail("a write of", where);
  }
}

int main(void) {
  static link_t line;
  uint32_t length;
  link_begin(&line);
  while (fread(&length, sizeof length, 1, stdin) == 1) {
    if (length > LINE || fread(in, 1, length, stdin) != length) return 2;
    in_length = length;
    in_next = out_length = 0;
    silent = length == 0;
    do link_poll(&line);
    while (in_next < in_length);
    fwrite(&out_length, sizeof out_length, 1, stdout);
    fwrite(out, 1, out_length, stdout);
    fflush(stdout);
  }
  return 0;
}
