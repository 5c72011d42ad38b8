/* Frames on the serial line: COBS between zero bytes, a header, a CRC-32 (docs/soc.md). */
#ifndef EDGE_FRAME_H
#define EDGE_FRAME_H

#include <stdint.h>

#include "edge_soc.h"

enum { FRAME_WORDS = (EDGE_MOST_PAYLOAD + EDGE_FRAME_OVERHEAD) / 4, HEADER_WORDS = 2 };

/* A frame in memory: header, payload, checksum, as little-endian words. */
typedef struct {
  uint32_t words[FRAME_WORDS];
} frame_t;

static inline uint32_t frame_operation(const frame_t *frame) { return frame->words[0] >> 8 & 0xff; }
static inline uint32_t frame_payload(const frame_t *frame) { return frame->words[0] >> 16; } /* bytes */
static inline uint32_t frame_id(const frame_t *frame) { return frame->words[1]; }

/* The receiving end: a decoder that never writes outside of its frame, whatever comes. */
typedef struct {
  frame_t frame;
  uint32_t length;   /* bytes decoded */
  uint32_t left;     /* bytes of the block that are still to come */
  uint8_t zero_due;  /* the block before stands for a zero at its end, if another one follows */
  uint8_t started;
  uint8_t too_long;
} receiver_t;

enum { FRAME_NONE = 0, FRAME_GOOD = -1 };

void crc_begin(void); /* once, before all others */

/* Takes a byte. FRAME_NONE: go on; FRAME_GOOD: `frame` is whole and right; else the reason why one was thrown away. */
int receive_byte(receiver_t *receiver, uint8_t byte);

/* Throws a frame away that is in the middle; 0 where there was none. */
int receive_abandon(receiver_t *receiver);

/* Writes header and checksum around `payload` words that are in place. */
void frame_seal(frame_t *frame, uint32_t operation, uint32_t id, uint32_t payload_words);

void frame_send(const frame_t *frame);

#endif
