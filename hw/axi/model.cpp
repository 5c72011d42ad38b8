// The Verilated AXI wrapper behind a C interface: a manager whose valid and ready come at random, and what AXI demands
// of the other side checked in every cycle.
#include <cstdint>
#include <memory>
#include <random>

#include "Vedge_axi.h"
#include "assertions.h"
#include "stream.h"
#include "verilated.h"

namespace {

enum Failure { kAssertion = -1, kTimeout = -2, kProtocol = -3 };
constexpr int kMostWait = 100;

// A channel that offers something: it must go on offering the same until it is taken.
template <typename T>
struct Held {
  bool waits = false;
  T value{};
  bool fine(bool valid, bool ready, T now) {
    const bool good = !waits || (valid && now == value);
    waits = valid && !ready;
    value = now;
    return good;
  }
};

struct Model {
  VerilatedContext context;
  std::unique_ptr<Vedge_axi> top;
  std::mt19937 random;
  Held<uint64_t> events, reads, responses;
  bool protocol_failed = false;
  uint64_t cycles = 0;

  explicit Model(uint32_t seed) : top(new Vedge_axi(&context)), random(seed) {
    top->aresetn = 0;
    for (int i = 0; i < 8; i++) tick();
    top->aresetn = 1;
    // Everything that was undefined at the start has left the pipeline.
    for (int i = 0; i < 100; i++) tick();
  }

  // One cycle; outputs must not follow inputs, so they are looked at before the edge.
  void tick() {
    top->aclk = 0;
    top->eval();
    if (top->aresetn) {
      bool fine = events.fine(top->m_axis_tvalid, top->m_axis_tready, event_word(top->m_axis_tdata, top->m_axis_tlast));
      fine &= reads.fine(top->s_axi_rvalid, top->s_axi_rready, top->s_axi_rdata);
      fine &= responses.fine(top->s_axi_bvalid, top->s_axi_bready, top->s_axi_bresp);
      protocol_failed |= !fine;
    }
    top->aclk = 1;
    top->eval();
    cycles++;
  }

  int failure() const { return assertion_failed ? kAssertion : protocol_failed ? kProtocol : 0; }
  bool chance() { return random() & 1; }
};

}  // namespace

extern "C" {

void *edge_axi_sim_new(uint32_t seed) {
  assertion_failed = false;
  return new Model(seed);
}

void edge_axi_sim_delete(void *handle) { delete static_cast<Model *>(handle); }

uint64_t edge_axi_sim_cycles(void *handle) { return static_cast<Model *>(handle)->cycles; }

// A write: address and data are offered in either order; its response, or a failure.
int edge_axi_sim_write(void *handle, uint32_t address, uint32_t data, uint32_t strobe) {
  Model &model = *static_cast<Model *>(handle);
  Vedge_axi &top = *model.top;
  bool address_left = true, data_left = true;
  top.s_axi_awaddr = address;
  top.s_axi_wdata = data;
  top.s_axi_wstrb = strobe;
  for (int wait = 0; wait < kMostWait; wait++) {
    if (address_left) top.s_axi_awvalid = top.s_axi_awvalid || model.chance();
    if (data_left) top.s_axi_wvalid = top.s_axi_wvalid || model.chance();
    top.s_axi_bready = model.chance();
    const bool took_address = top.s_axi_awvalid && top.s_axi_awready, took_data = top.s_axi_wvalid && top.s_axi_wready;
    const bool answered = top.s_axi_bvalid && top.s_axi_bready;
    const int response = top.s_axi_bresp;
    model.tick();
    if (took_address) address_left = top.s_axi_awvalid = false;
    if (took_data) data_left = top.s_axi_wvalid = false;
    if (model.failure()) return model.failure();
    if (answered) {
      top.s_axi_bready = 0;
      return address_left || data_left ? static_cast<int>(kProtocol) : response;
    }
  }
  return kTimeout;
}

// A read: its response, or a failure.
int edge_axi_sim_read(void *handle, uint32_t address, uint32_t *data) {
  Model &model = *static_cast<Model *>(handle);
  Vedge_axi &top = *model.top;
  bool left = true;
  top.s_axi_araddr = address;
  for (int wait = 0; wait < kMostWait; wait++) {
    if (left) top.s_axi_arvalid = top.s_axi_arvalid || model.chance();
    top.s_axi_rready = model.chance();
    const bool took = top.s_axi_arvalid && top.s_axi_arready, answered = top.s_axi_rvalid && top.s_axi_rready;
    const int response = top.s_axi_rresp;
    *data = top.s_axi_rdata;
    model.tick();
    if (took) left = top.s_axi_arvalid = false;
    if (model.failure()) return model.failure();
    if (answered) {
      top.s_axi_rready = 0;
      return left ? static_cast<int>(kProtocol) : response;
    }
  }
  return kTimeout;
}

// Feeds the sample stream for n cycles (stream.h).
int64_t edge_axi_sim_feed(void *handle, int64_t n, const uint32_t *words, uint64_t *events, int64_t capacity) {
  Model &model = *static_cast<Model *>(handle);
  Vedge_axi &top = *model.top;
  const auto cycle = [&](const PortInput &given, std::optional<uint64_t> &event) -> int {
    top.s_axis_tdata = given.sample;
    top.s_axis_tvalid = given.valid;
    top.s_axis_tuser = given.trigger;
    top.m_axis_tready = given.event_ready;
    if (top.m_axis_tvalid && top.m_axis_tready) event = event_word(top.m_axis_tdata, top.m_axis_tlast);
    if (top.s_axis_tvalid && !top.s_axis_tready) return kProtocol;
    model.tick();
    return model.failure();
  };
  const int64_t found = feed_port(n, words, events, capacity, cycle);
  top.s_axis_tvalid = top.s_axis_tuser = top.m_axis_tready = 0;
  return found;
}

}  // extern "C"
