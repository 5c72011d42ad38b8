/* The array behind AXI, from C: networks loaded, samples run, windows streamed. No allocation, no libc but string.h.
 *
 * Linux: map the registers (a UIO device or /dev/mem) and give edge_axi_mapped their address. Calls are for one thread.
 * Statuses are 0 or one of enum edge_axi_status. */
#ifndef EDGE_AXI_H
#define EDGE_AXI_H

#include <stddef.h>
#include <stdint.h>

/* How registers are reached: offsets are in bytes. */
struct edge_axi {
  uint32_t (*read)(void *context, uint32_t offset);
  void (*write)(void *context, uint32_t offset, uint32_t value);
  void *context;
};

enum edge_axi_status {
  EDGE_AXI_OK = 0,
  EDGE_AXI_NO_IMAGE,    /* the bytes are no lib/NAME.img, or are cut */
  EDGE_AXI_OTHER_ARRAY, /* the image was made for an array of other sizes */
  EDGE_AXI_BUSY,        /* the array computes, or the sample stream is on */
  EDGE_AXI_LATE,        /* the network did not end within the polls allowed */
  EDGE_AXI_RANGE        /* an address, a count or a window that the array does not have */
};

/* What the sample stream is to do with a trigger; `inputs` in the image's header says the places. */
struct edge_axi_window {
  uint32_t samples;    /* of a window, 1...1024 */
  uint32_t before;     /* of them before the trigger's, 0...255 */
  uint32_t offset;     /* added to each sample to make it unsigned, 16 bits */
  uint32_t place_low;  /* first byte of the low bytes in the activation memory, a multiple of 8 */
  uint32_t place_high; /* the same of the high bytes, where samples have two */
  uint32_t two_bytes;  /* whether they have */
  uint32_t values;     /* results of an event */
};

/* Registers at an address. */
struct edge_axi edge_axi_mapped(volatile void *base);

/* Writes a network into the memories: the bytes of an artifact's lib/NAME.img. */
int edge_axi_load(const struct edge_axi *array, const uint8_t *image, size_t size);

/* Writes n bytes of a sample, as the image's header says where; both multiples of 8. */
int edge_axi_input(const struct edge_axi *array, uint32_t place, const uint8_t *bytes, size_t n);

/* Runs the network once; looks at most `polls` times whether it has ended. `cycles` may be NULL. */
int edge_axi_run(const struct edge_axi *array, uint32_t polls, uint32_t *cycles);

/* n results from `first` on. */
int edge_axi_results(const struct edge_axi *array, uint32_t first, int32_t *results, size_t n);

/* Turns the sample stream on; events leave by AXI4-Stream: trigger number, time (two words), cycles, results. */
int edge_axi_stream(const struct edge_axi *array, const struct edge_axi_window *window);

/* Turns it off; windows that it has are still computed. */
void edge_axi_stop(const struct edge_axi *array);

#endif
