/* Frames: COBS, CRC-32 of IEEE 802.3 (reflected, 0xedb88320), the serial port's sending side. */
#include "frame.h"

#include "hardware.h"

static uint32_t crc_table[256];

void crc_begin(void) {
  for (uint32_t i = 0; i < 256; i++) {
    uint32_t value = i;
    for (int bit = 0; bit < 8; bit++) value = value & 1 ? value >> 1 ^ 0xedb88320u : value >> 1;
    crc_table[i] = value;
  }
}

static uint32_t crc(const frame_t *frame, uint32_t bytes) {
  const uint8_t *at = (const uint8_t *)frame->words;
  uint32_t value = 0xffffffffu;
  for (const uint8_t *end = at + bytes; at != end; at++) value = value >> 8 ^ crc_table[(value ^ *at) & 0xff];
  return ~value;
}

static void begin(receiver_t *receiver) {
  receiver->length = receiver->left = 0;
  receiver->zero_due = receiver->started = receiver->too_long = 0;
}

static void keep(receiver_t *receiver, uint8_t byte) {
  if (receiver->length < sizeof receiver->frame)
    ((uint8_t *)receiver->frame.words)[receiver->length++] = byte;
  else
    receiver->too_long = 1;
}

static int judge(receiver_t *receiver) {
  const frame_t *frame = &receiver->frame;
  uint32_t length = receiver->length;
  if (receiver->too_long) return EDGE_REASON_TOO_LONG;
  if (receiver->left != 0 || length < EDGE_FRAME_OVERHEAD || (length & 3) != 0) return EDGE_REASON_CHECKSUM;
  if (frame_payload(frame) + EDGE_FRAME_OVERHEAD != length) return EDGE_REASON_CHECKSUM;
  return crc(frame, length - 4) == frame->words[(length >> 2) - 1] ? FRAME_GOOD : (int)EDGE_REASON_CHECKSUM;
}

int receive_byte(receiver_t *receiver, uint8_t byte) {
  if (byte == 0) {
    int verdict = receiver->started ? judge(receiver) : FRAME_NONE;
    begin(receiver);
    return verdict;
  }
  receiver->started = 1;
  if (receiver->left != 0) {
    receiver->left--;
    keep(receiver, byte);
  } else {
    if (receiver->zero_due) keep(receiver, 0);
    receiver->left = byte - 1u;
    receiver->zero_due = byte != 0xff;
  }
  return FRAME_NONE;
}

int receive_abandon(receiver_t *receiver) {
  int started = receiver->started;
  begin(receiver);
  return started;
}

void frame_seal(frame_t *frame, uint32_t operation, uint32_t id, uint32_t payload_words) {
  frame->words[0] = EDGE_PROTOCOL | operation << 8 | payload_words << 18; /* 4 bytes a word */
  frame->words[1] = id;
  frame->words[HEADER_WORDS + payload_words] = crc(frame, (HEADER_WORDS + payload_words) << 2);
}

static void send(uint8_t byte) {
  while (hw_read(EDGE_SYSTEM_UART_STATUS) & 1) {
  }
  hw_write(EDGE_SYSTEM_UART_DATA, byte);
}

/* Each block is its length, less than 255 bytes that are not zero, and stands for them with a zero behind. */
void frame_send(const frame_t *frame) {
  const uint8_t *at = (const uint8_t *)frame->words;
  const uint8_t *end = at + frame_payload(frame) + EDGE_FRAME_OVERHEAD;
  send(0);
  for (;;) {
    uint32_t length = 0;
    while (at + length != end && at[length] != 0 && length < 254) length++;
    send((uint8_t)(length + 1));
    for (uint32_t i = 0; i < length; i++) send(at[i]);
    at += length;
    if (at == end) break;
    if (length < 254) at++; /* the zero that the block stands for */
  }
  send(0);
}
