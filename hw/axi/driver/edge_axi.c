#include "edge_axi.h"

#include <string.h>

#include "edge_accelerator.h"
#include "edge_soc.h"

#define OFFSET(name) (EDGE_ARRAY_##name & 0xffu)
#define MAGIC "edgeconv-array-1\n"
#define WRITE_BYTES 16u /* of a bus write in the image: select, address, data, little-endian */
#define RESULTS_A_WORD 8u
#define BUSY 1u /* bit of the register `status` */

static uint32_t get(const struct edge_axi *array, uint32_t offset) { return array->read(array->context, offset); }

static void put(const struct edge_axi *array, uint32_t offset, uint32_t value) {
  array->write(array->context, offset, value);
}

static uint32_t mapped_read(void *context, uint32_t offset) {
  return *(volatile uint32_t *)((volatile char *)context + offset);
}

static void mapped_write(void *context, uint32_t offset, uint32_t value) {
  *(volatile uint32_t *)((volatile char *)context + offset) = value;
}

struct edge_axi edge_axi_mapped(volatile void *base) {
  const struct edge_axi array = {mapped_read, mapped_write, (void *)base};
  return array;
}

static uint32_t little(const uint8_t *bytes) {
  return bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

static void bus_write(const struct edge_axi *array, const uint8_t *data) {
  put(array, OFFSET(BUS_LOW), little(data));
  put(array, OFFSET(BUS_HIGH), little(data + 4));
}

/* Whether the header has "key":value. */
static int has_size(const uint8_t *header, size_t size, const char *key, uint32_t value) {
  char wanted[48], digits[10];
  size_t length = strlen(key), count = 0;
  memcpy(wanted, key, length);
  do digits[count++] = (char)('0' + value % 10);
  while (value /= 10);
  while (count) wanted[length++] = digits[--count];
  for (size_t at = 0; at + length < size; at++) {
    const uint8_t next = header[at + length];
    if (memcmp(header + at, wanted, length) == 0 && (next == ',' || next == '}')) return 1;
  }
  return 0;
}

/* The header begins with the sizes; further on the same names mean other things. */
static int fits(const struct edge_axi *array, const uint8_t *header, size_t size) {
  const uint8_t *end = memchr(header, '}', size);
  if (end == NULL) return 0;
  size = (size_t)(end - header) + 1;
  const uint32_t sizes_0 = get(array, OFFSET(SIZES_0)), sizes_1 = get(array, OFFSET(SIZES_1));
  const uint32_t sizes_2 = get(array, OFFSET(SIZES_2)), sizes_3 = get(array, OFFSET(SIZES_3));
  return has_size(header, size, "\"elements\":", sizes_0 & 0xff) &&
         has_size(header, size, "\"tables\":", sizes_0 >> 8 & 0x1f) &&
         has_size(header, size, "\"beat\":", 8 - (sizes_0 >> 13 & 7)) &&
         has_size(header, size, "\"descriptors\":", sizes_0 >> 16) &&
         has_size(header, size, "\"activation_bytes\":", sizes_1) &&
         has_size(header, size, "\"weight_words\":", sizes_2 & 0xffff) &&
         has_size(header, size, "\"parameter_words\":", sizes_2 >> 16) &&
         has_size(header, size, "\"result_words\":", sizes_3 & 0xffff);
}

/* Whether the activation memory has `n` bytes from `place` on, which is what the bus writes to; no sum may wrap. */
static int in_memory(const struct edge_axi *array, uint32_t place, size_t n) {
  const uint32_t memory = get(array, OFFSET(SIZES_1));
  return place % 8 == 0 && place <= memory && n <= memory - place;
}

int edge_axi_load(const struct edge_axi *array, const uint8_t *image, size_t size) {
  const size_t magic = sizeof MAGIC - 1;
  if (size < magic || memcmp(image, MAGIC, magic) != 0) return EDGE_AXI_NO_IMAGE;
  const uint8_t *header = image + magic;
  const uint8_t *end = memchr(header, '\n', size - magic);
  if (end == NULL) return EDGE_AXI_NO_IMAGE;
  const size_t rest = (size_t)(image + size - (end + 1));
  if (rest == 0 || rest % WRITE_BYTES != 0 ||
      !has_size(header, (size_t)(end - header) + 1, "\"writes\":", (uint32_t)(rest / WRITE_BYTES)))
    return EDGE_AXI_NO_IMAGE;
  if (!fits(array, header, (size_t)(end - header))) return EDGE_AXI_OTHER_ARRAY;
  if (get(array, OFFSET(STATUS)) != 0) return EDGE_AXI_BUSY;
  put(array, OFFSET(BUS_STEP), 0);
  for (const uint8_t *write = end + 1; write != image + size; write += WRITE_BYTES) {
    put(array, OFFSET(BUS_SELECT), little(write));
    put(array, OFFSET(BUS_ADDRESS), little(write + 4));
    bus_write(array, write + 8);
  }
  return EDGE_AXI_OK;
}

int edge_axi_input(const struct edge_axi *array, uint32_t place, const uint8_t *bytes, size_t n) {
  if (n % 8 != 0 || !in_memory(array, place, n)) return EDGE_AXI_RANGE;
  if (get(array, OFFSET(STATUS)) != 0) return EDGE_AXI_BUSY;
  put(array, OFFSET(BUS_SELECT), EDGE_BUS_ACTIVATIONS);
  put(array, OFFSET(BUS_ADDRESS), place);
  put(array, OFFSET(BUS_STEP), 8);
  for (size_t at = 0; at < n; at += 8) bus_write(array, bytes + at);
  return EDGE_AXI_OK;
}

int edge_axi_run(const struct edge_axi *array, uint32_t polls, uint32_t *cycles) {
  static const uint8_t start[8] = {1};
  if (get(array, OFFSET(STATUS)) != 0) return EDGE_AXI_BUSY;
  put(array, OFFSET(BUS_SELECT), EDGE_BUS_CONTROL);
  put(array, OFFSET(BUS_ADDRESS), 0);
  bus_write(array, start);
  while (polls-- > 0)
    if ((get(array, OFFSET(STATUS)) & BUSY) == 0) {
      if (cycles != NULL) *cycles = get(array, OFFSET(CYCLES));
      return EDGE_AXI_OK;
    }
  return EDGE_AXI_LATE;
}

int edge_axi_results(const struct edge_axi *array, uint32_t first, int32_t *results, size_t n) {
  const size_t memory = (size_t)(get(array, OFFSET(SIZES_3)) & 0xffff) * RESULTS_A_WORD;
  if (first > memory || n > memory - first) return EDGE_AXI_RANGE;
  for (size_t at = 0; at < n; at++) {
    const uint32_t result = first + (uint32_t)at;
    if (at == 0 || result % RESULTS_A_WORD == 0) put(array, OFFSET(RESULT_ADDRESS), result / RESULTS_A_WORD);
    results[at] = (int32_t)get(array, OFFSET(RESULT_0) + 4 * (result % RESULTS_A_WORD));
  }
  return EDGE_AXI_OK;
}

int edge_axi_stream(const struct edge_axi *array, const struct edge_axi_window *window) {
  const uint32_t results = (get(array, OFFSET(SIZES_3)) & 0xffff) * RESULTS_A_WORD;
  if (window->samples < 1 || window->samples > EDGE_MOST_WINDOW || window->before > EDGE_MOST_BEFORE ||
      window->values > results)
    return EDGE_AXI_RANGE;
  const uint32_t padded = (window->samples + 7) / 8 * 8;
  if (!in_memory(array, window->place_low, padded) ||
      (window->two_bytes && !in_memory(array, window->place_high, padded)))
    return EDGE_AXI_RANGE;
  if (get(array, OFFSET(STATUS)) != 0) return EDGE_AXI_BUSY;
  put(array, OFFSET(WINDOW_SAMPLES), window->samples);
  put(array, OFFSET(WINDOW_BEFORE), window->before);
  put(array, OFFSET(SAMPLE_OFFSET), window->offset);
  put(array, OFFSET(PLACE_LOW), window->place_low);
  put(array, OFFSET(PLACE_HIGH), window->place_high);
  put(array, OFFSET(EVENT_VALUES), window->values);
  put(array, OFFSET(STREAM), EDGE_STREAM_ON | (window->two_bytes ? EDGE_STREAM_TWO_BYTES : 0));
  return EDGE_AXI_OK;
}

void edge_axi_stop(const struct edge_axi *array) { put(array, OFFSET(STREAM), 0); }
