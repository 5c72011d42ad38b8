/* Requests and their answers: one after the other, each done once, however often it comes. */
#include "commands.h"

#include "hardware.h"

/* What an operation came to: words of the payload, or a refusal, which has a reason and a detail there. */
enum { REFUSED = 0x80000000u, REPLY_WORDS = EDGE_MOST_PAYLOAD / 4 };

typedef uint32_t operation_t(network_t *network, const uint32_t *in, uint32_t words, uint32_t *out);

static uint32_t refuse(uint32_t *out, uint32_t reason, uint32_t detail) {
  out[0] = reason;
  out[1] = detail;
  return REFUSED;
}

static int streaming(void) { return hw_read(EDGE_ARRAY_STATUS) >> 1 & 1; }
static uint32_t result_room(void) { return hw_read(EDGE_ARRAY_SIZES_3) & 0xffff; }
static uint32_t least(uint32_t a, uint32_t b) { return a < b ? a : b; }

static uint32_t hello(network_t *network, const uint32_t *in, uint32_t words, uint32_t *out) {
  if (words != 0) return refuse(out, EDGE_REASON_LENGTH, words);
  (void)in;
  out[0] = hw_read(EDGE_SYSTEM_IDENT);
  out[1] = hw_read(EDGE_ARRAY_SIZES_0);
  out[2] = hw_read(EDGE_ARRAY_SIZES_1);
  out[3] = hw_read(EDGE_ARRAY_SIZES_2);
  out[4] = hw_read(EDGE_ARRAY_SIZES_3);
  out[5] = hw_read(EDGE_SYSTEM_CPU_HZ);
  out[6] = network->complete ? network->id : 0;
  out[7] = hw_read(EDGE_SYSTEM_RESTARTS);
  out[8] = hw_read(EDGE_SYSTEM_UART_FAULTS);
  out[9] = EDGE_MOST_PAYLOAD;
  return 10;
}

/* A range of the activation memory, of `words` words of 8 bytes. */
static int fits(uint32_t base, uint32_t words) {
  uint32_t size = hw_read(EDGE_ARRAY_SIZES_1);
  return base <= size && words <= (size - base) >> 3;
}

static uint32_t begin(network_t *network, const uint32_t *in, uint32_t words, uint32_t *out) {
  if (words < 5 || in[4] > EDGE_MOST_SEGMENTS || words != 5 + (in[4] << 1))
    return refuse(out, EDGE_REASON_LENGTH, words);
  if (in[0] == 0) return refuse(out, EDGE_REASON_RANGE, in[0]);
  if (in[2] > result_room()) return refuse(out, EDGE_REASON_RANGE, in[2]);
  for (uint32_t i = 0; i < in[4]; i++)
    if (in[6 + 2 * i] == 0 || !fits(in[5 + 2 * i], in[6 + 2 * i])) return refuse(out, EDGE_REASON_RANGE, in[5 + 2 * i]);
  array_reset();
  network->id = in[0];
  network->announced = in[1];
  network->result_words = in[2];
  network->cycles = in[3];
  network->segments = in[4];
  network->received = network->complete = network->ran = network->event_words = 0;
  network->input_words = network->next_input = network->segment = network->within = 0;
  for (uint32_t i = 0; i < in[4]; i++) {
    network->base[i] = in[5 + 2 * i];
    network->words[i] = in[6 + 2 * i];
    network->input_words += in[6 + 2 * i];
  }
  return 0;
}

static uint32_t write(network_t *network, const uint32_t *in, uint32_t words, uint32_t *out) {
  if (words < 4 || (words & 1) != 0) return refuse(out, EDGE_REASON_LENGTH, words);
  uint32_t count = (words - 4) >> 1;
  if (network->id == 0 || network->complete || in[0] != network->received)
    return refuse(out, EDGE_REASON_STATE, network->received);
  if (in[1] == EDGE_BUS_CONTROL || in[1] > EDGE_BUS_DESCRIPTORS) return refuse(out, EDGE_REASON_RANGE, in[1]);
  if (count > network->announced - network->received) return refuse(out, EDGE_REASON_RANGE, count);
  bus_begin(in[1], in[2], in[3]);
  for (const uint32_t *at = in + 4, *end = in + words; at != end; at += 2) bus_write(at[0], at[1]);
  network->received += count;
  return 0;
}

static uint32_t end(network_t *network, const uint32_t *in, uint32_t words, uint32_t *out) {
  if (words != 1) return refuse(out, EDGE_REASON_LENGTH, words);
  if (network->id == 0 || in[0] != network->announced || network->received != network->announced)
    return refuse(out, EDGE_REASON_STATE, network->received);
  network->complete = 1;
  hw_write(EDGE_SYSTEM_LEDS, 1);
  return 0;
}

static uint32_t input(network_t *network, const uint32_t *in, uint32_t words, uint32_t *out) {
  if (words < 1 || (words & 1) == 0) return refuse(out, EDGE_REASON_LENGTH, words);
  if (!network->complete || streaming()) return refuse(out, EDGE_REASON_STATE, network->next_input);
  if (in[0] == 0) network->next_input = network->segment = network->within = 0; /* a sample begins anew */
  if (in[0] != network->next_input) return refuse(out, EDGE_REASON_STATE, network->next_input);
  uint32_t count = (words - 1) >> 1;
  if (count > network->input_words - network->next_input) return refuse(out, EDGE_REASON_RANGE, count);
  network_put(network, in + 1, count);
  return 0;
}

static uint32_t copy_results(uint32_t first, uint32_t count, uint32_t *out) {
  for (uint32_t i = 0; i < count; i++) out[i] = network_result(first + i);
  return count;
}

static uint32_t run(network_t *network, const uint32_t *in, uint32_t words, uint32_t *out) {
  uint32_t put = input(network, in, words, out);
  if (put == REFUSED) return REFUSED;
  if (network->next_input != network->input_words) return refuse(out, EDGE_REASON_STATE, network->next_input);
  /* The array may write over its inputs: the next sample starts at its beginning. */
  network->next_input = network->segment = network->within = network->ran = 0;
  if (!network_run(network)) return refuse(out, EDGE_REASON_ARRAY, hw_read(EDGE_ARRAY_CYCLES));
  network->ran = 1;
  out[0] = hw_read(EDGE_ARRAY_CYCLES);
  return 1 + copy_results(0, least(network->result_words << 3, REPLY_WORDS - 1), out + 1);
}

static int have_results(const network_t *network, uint32_t first, uint32_t count) {
  uint32_t all = network->result_words << 3;
  return first <= all && count <= all - first;
}

static uint32_t results(network_t *network, const uint32_t *in, uint32_t words, uint32_t *out) {
  if (words != 2) return refuse(out, EDGE_REASON_LENGTH, words);
  if (!network->ran) return refuse(out, EDGE_REASON_STATE, 0);
  if (in[1] > REPLY_WORDS || !have_results(network, in[0], in[1])) return refuse(out, EDGE_REASON_RANGE, in[1]);
  return copy_results(in[0], in[1], out);
}

/* Expected results stand as in the memory: `channels` of them together, `stride` from a position to the next. */
static uint32_t compare(network_t *network, const uint32_t *in, uint32_t words, uint32_t *out) {
  if (words < 3) return refuse(out, EDGE_REASON_LENGTH, words);
  uint32_t position = in[0], stride = in[1], channels = in[2], channel = 0, all = network->result_words << 3;
  if (!network->ran) return refuse(out, EDGE_REASON_STATE, 0);
  if (channels == 0 || channels > all) return refuse(out, EDGE_REASON_RANGE, channels);
  if (stride > all) return refuse(out, EDGE_REASON_RANGE, stride);
  out[0] = out[1] = out[2] = 0;
  for (uint32_t i = 3; i < words; i++) {
    uint32_t index = position + channel;
    if (position > all || index >= all) return refuse(out, EDGE_REASON_RANGE, index);
    uint32_t found = network_result(index);
    if (found != in[i] && out[0]++ == 0) {
      out[1] = index;
      out[2] = found;
    }
    if (++channel == channels) {
      channel = 0;
      position += stride;
    }
  }
  return 3;
}

static uint32_t counters(uint32_t *out) {
  out[0] = hw_read(EDGE_ARRAY_TRIGGERS);
  out[1] = hw_read(EDGE_ARRAY_LOST_OPEN);
  out[2] = hw_read(EDGE_ARRAY_LOST_FULL);
  return 3;
}

static uint32_t stream(network_t *network, const uint32_t *in, uint32_t words, uint32_t *out) {
  if (words != 7) return refuse(out, EDGE_REASON_LENGTH, words);
  if (!network->complete || streaming()) return refuse(out, EDGE_REASON_STATE, 0);
  uint32_t lines = (in[0] + 7) >> 3;
  if (in[0] == 0 || in[0] > hw_read(EDGE_ARRAY_SIZES_3) >> 16) return refuse(out, EDGE_REASON_RANGE, in[0]);
  if (in[1] > EDGE_MOST_BEFORE || in[1] >= in[0]) return refuse(out, EDGE_REASON_RANGE, in[1]);
  if (!fits(in[3], lines)) return refuse(out, EDGE_REASON_RANGE, in[3]);
  if (!fits(in[4], lines)) return refuse(out, EDGE_REASON_RANGE, in[4]);
  if ((in[6] & ~(EDGE_STREAM_TWO_BYTES | EDGE_STREAM_TO_HOST)) != 0) return refuse(out, EDGE_REASON_RANGE, in[6]);
  uint32_t to_host = in[6] >> 2; /* EDGE_STREAM_TO_HOST: then an event must fit an answer */
  if (in[5] > network->result_words << 3 || (to_host && in[5] > REPLY_WORDS - 3 - EDGE_EVENT_HEADER))
    return refuse(out, EDGE_REASON_RANGE, in[5]);
  hw_write(EDGE_ARRAY_WINDOW_SAMPLES, in[0]);
  hw_write(EDGE_ARRAY_WINDOW_BEFORE, in[1]);
  hw_write(EDGE_ARRAY_SAMPLE_OFFSET, in[2]);
  hw_write(EDGE_ARRAY_PLACE_LOW, in[3]);
  hw_write(EDGE_ARRAY_PLACE_HIGH, in[4]);
  hw_write(EDGE_ARRAY_EVENT_VALUES, in[5]);
  network->event_words = EDGE_EVENT_HEADER + in[5];
  network->ran = 0;
  hw_write(EDGE_ARRAY_STREAM, in[6] | EDGE_STREAM_ON);
  return 0;
}

static uint32_t events(network_t *network, const uint32_t *in, uint32_t words, uint32_t *out) {
  if (words != 0) return refuse(out, EDGE_REASON_LENGTH, words);
  (void)in;
  if (network->event_words == 0) return refuse(out, EDGE_REASON_STATE, 0);
  uint32_t count = counters(out);
  uint32_t level = hw_read(EDGE_ARRAY_EVENT_LEVEL);
  while (level >= network->event_words && count + network->event_words <= REPLY_WORDS) {
    for (uint32_t i = 0; i < network->event_words; i++) out[count++] = hw_read(EDGE_ARRAY_EVENT_DATA);
    level -= network->event_words;
  }
  return count;
}

static uint32_t stop(network_t *network, const uint32_t *in, uint32_t words, uint32_t *out) {
  if (words != 0) return refuse(out, EDGE_REASON_LENGTH, words);
  (void)in;
  if (network->event_words == 0) return refuse(out, EDGE_REASON_STATE, 0);
  hw_write(EDGE_ARRAY_STREAM, hw_read(EDGE_ARRAY_STREAM) & ~EDGE_STREAM_ON);
  return counters(out);
}

static uint32_t samples(network_t *network, const uint32_t *in, uint32_t words, uint32_t *out) {
  if (network->event_words == 0) return refuse(out, EDGE_REASON_STATE, 0);
  for (uint32_t i = 0; i < words; i++) hw_write(EDGE_ARRAY_SAMPLE, in[i]);
  return 0;
}

static operation_t *const OPERATIONS[] = {
    [EDGE_OP_HELLO] = hello, [EDGE_OP_BEGIN] = begin,     [EDGE_OP_WRITE] = write,     [EDGE_OP_END] = end,
    [EDGE_OP_INPUT] = input, [EDGE_OP_RUN] = run,         [EDGE_OP_RESULTS] = results, [EDGE_OP_COMPARE] = compare,
    [EDGE_OP_STREAM] = stream, [EDGE_OP_EVENTS] = events, [EDGE_OP_STOP] = stop,
    [EDGE_OP_SAMPLES] = samples,
};
enum { OPERATION_COUNT = sizeof OPERATIONS / sizeof OPERATIONS[0] };

static uint32_t perform(device_t *device, const frame_t *request, uint32_t *out) {
  uint32_t version = request->words[0] & 0xff, operation = frame_operation(request);
  if (version != EDGE_PROTOCOL) return refuse(out, EDGE_REASON_VERSION, EDGE_PROTOCOL);
  if (operation >= OPERATION_COUNT || !OPERATIONS[operation]) return refuse(out, EDGE_REASON_OPERATION, operation);
  return OPERATIONS[operation](&device->network, request->words + HEADER_WORDS, frame_payload(request) >> 2, out);
}

void device_request(device_t *device, const frame_t *request) {
  uint32_t checksum = request->words[HEADER_WORDS + (frame_payload(request) >> 2)];
  frame_t *reply = &device->reply;
  if (!device->answered || frame_id(reply) != frame_id(request) || device->checksum != checksum) {
    uint32_t done = perform(device, request, reply->words + HEADER_WORDS);
    if (done == REFUSED)
      frame_seal(reply, EDGE_OP_REFUSED | EDGE_REPLY, frame_id(request), 2);
    else
      frame_seal(reply, frame_operation(request) | EDGE_REPLY, frame_id(request), done);
    device->answered = 1;
    device->checksum = checksum;
  }
  frame_send(reply);
}

void device_refuse(device_t *device, uint32_t reason) {
  refuse(device->refusal.words + HEADER_WORDS, reason, 0);
  frame_seal(&device->refusal, EDGE_OP_REFUSED | EDGE_REPLY, 0, 2);
  frame_send(&device->refusal);
}
