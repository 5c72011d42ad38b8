/* The network in the array: what has been loaded, and the sample that is being put in. */
#ifndef EDGE_NETWORK_H
#define EDGE_NETWORK_H

#include <stdint.h>

#include "edge_accelerator.h"
#include "edge_soc.h"

typedef struct {
  uint32_t id;           /* 0: none */
  uint32_t announced;    /* bus writes that make it */
  uint32_t received;
  uint32_t complete;
  uint32_t result_words; /* of 8 results */
  uint32_t cycles;       /* that it is to take */
  uint32_t segments;
  uint32_t base[EDGE_MOST_SEGMENTS];
  uint32_t words[EDGE_MOST_SEGMENTS];
  uint32_t input_words;  /* sum of words */
  uint32_t next_input;   /* word of the sample that comes next */
  uint32_t segment;      /* where that goes */
  uint32_t within;
  uint32_t ran;          /* there are results */
  uint32_t event_words;  /* of an event of the sample port, 0 where it was never on */
} network_t;

void array_reset(void);
void bus_write(uint32_t low, uint32_t high);
void bus_begin(uint32_t select, uint32_t address, uint32_t step);
void network_put(network_t *network, const uint32_t *pairs, uint32_t count);
int network_run(const network_t *network); /* 0 where the array did not end in time */
uint32_t network_result(uint32_t index);
void watchdog_feed(void);

#endif
