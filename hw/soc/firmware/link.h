/* The serial line: bytes in, frames out, and a frame that stops in the middle is given up. */
#ifndef EDGE_LINK_H
#define EDGE_LINK_H

#include "commands.h"

typedef struct {
  device_t device;
  receiver_t receiver;
  uint32_t second; /* in cycles */
  uint32_t last;   /* when a byte came */
} link_t;

void link_begin(link_t *link);

/* Looks at the line once; to be called for ever. */
void link_poll(link_t *link);

#endif
