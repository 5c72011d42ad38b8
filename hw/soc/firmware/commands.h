/* Requests and their answers. */
#ifndef EDGE_COMMANDS_H
#define EDGE_COMMANDS_H

#include "frame.h"
#include "network.h"

typedef struct {
  network_t network;
  frame_t reply;      /* to the last request: a host that did not get it asks again */
  frame_t refusal;    /* of what could not be read; the reply is kept */
  uint32_t answered;  /* there is a reply */
  uint32_t checksum;  /* of the request that it answers */
} device_t;

void device_request(device_t *device, const frame_t *request);
void device_refuse(device_t *device, uint32_t reason);

#endif
