// The array and its sample port behind AXI, for systems that have a processor: registers by AXI4-Lite, samples in and
// events out by AXI4-Stream, one clock. The registers are those of docs/soc.md without the base.
//
// An access at a time: a read waits for a write that came with it, and after each the array has SETTLE cycles to bring
// what the next one asks for. A write of less than four bytes does nothing and is answered with SLVERR.
// Samples are taken whenever they come; `s_axis_tuser` is the trigger, whose rising edge belongs to its sample.
module edge_axi
  import soc_pkg::*;
#(
  parameter int EVENT_WORDS = 512
) (
  input  logic        aclk,
  input  logic        aresetn,
  input  logic [7:0]  s_axi_awaddr,
  input  logic [2:0]  s_axi_awprot,
  input  logic        s_axi_awvalid,
  output logic        s_axi_awready,
  input  logic [31:0] s_axi_wdata,
  input  logic [3:0]  s_axi_wstrb,
  input  logic        s_axi_wvalid,
  output logic        s_axi_wready,
  output logic [1:0]  s_axi_bresp,
  output logic        s_axi_bvalid,
  input  logic        s_axi_bready,
  input  logic [7:0]  s_axi_araddr,
  input  logic [2:0]  s_axi_arprot,
  input  logic        s_axi_arvalid,
  output logic        s_axi_arready,
  output logic [31:0] s_axi_rdata,
  output logic [1:0]  s_axi_rresp,
  output logic        s_axi_rvalid,
  input  logic        s_axi_rready,
  input  logic [15:0] s_axis_tdata,
  input  logic        s_axis_tuser,
  input  logic        s_axis_tvalid,
  output logic        s_axis_tready,
  output logic [31:0] m_axis_tdata,
  output logic        m_axis_tlast,
  output logic        m_axis_tvalid,
  input  logic        m_axis_tready,
  output logic        working          // the array computes
);
  localparam logic [1:0] OKAY = 2'b00, SLVERR = 2'b10;
  localparam int SETTLE = edge_pkg::RESULT_CYCLES + 3;  // the next access is a cycle later still: a result is there then
  localparam int SETTLE_BITS = $clog2(SETTLE + 1);

  logic reset;
  always_ff @(posedge aclk) reset <= !aresetn;

  // What was accepted waits in registers, so that no output follows an input within a cycle.
  logic up, address_held, data_held, read_held, read_seen;  // seen: the array has looked at its address for a cycle
  logic [7:0] write_address, read_address;
  logic [31:0] data;
  logic [3:0] strobe;
  logic [SETTLE_BITS-1:0] settle;
  wire free = !s_axi_bvalid && !s_axi_rvalid && settle == '0;
  wire write_now = free && address_held && data_held;
  wire read_now = free && read_seen && !write_now && !(address_held || data_held);
  assign s_axi_awready = up && !address_held;
  assign s_axi_wready = up && !data_held;
  assign s_axi_arready = up && !read_held;
  always_ff @(posedge aclk) begin
    up <= !reset;
    if (s_axi_awvalid && s_axi_awready) {address_held, write_address} <= {1'b1, s_axi_awaddr};
    if (s_axi_wvalid && s_axi_wready) {data_held, data, strobe} <= {1'b1, s_axi_wdata, s_axi_wstrb};
    if (s_axi_arvalid && s_axi_arready) {read_held, read_address} <= {1'b1, s_axi_araddr};
    if (write_now) {address_held, data_held} <= 2'b00;
    read_seen <= read_held && !read_now && !write_now;
    if (read_now) read_held <= 1'b0;
    if (s_axi_bvalid && s_axi_bready) s_axi_bvalid <= 1'b0;
    if (s_axi_rvalid && s_axi_rready) s_axi_rvalid <= 1'b0;
    if (write_now) begin
      s_axi_bvalid <= 1'b1;
      s_axi_bresp <= strobe == '1 ? OKAY : SLVERR;
    end
    if (read_now) s_axi_rvalid <= 1'b1;
    if (settle != '0) settle <= settle - 1'b1;
    if (write_now || read_now) settle <= SETTLE_BITS'(SETTLE);
    if (reset) begin
      {address_held, data_held, read_held, read_seen, s_axi_bvalid, s_axi_rvalid} <= '0;
      settle <= '0;
    end
  end
  assign s_axi_rresp = OKAY;
  assign s_axis_tready = up;

  // The answer stands from the cycle after the access to the next one, as long as `rvalid` does.
  array_port #(.EVENT_WORDS(EVENT_WORDS)) array (
    .clk(aclk), .reset, .access(read_now || (write_now && strobe == '1)), .write(write_now),
    .address({write_now ? write_address[7:2] : read_address[7:2], 2'b00}), .data_in(data), .answer(s_axi_rdata),
    .sample_valid(s_axis_tvalid && up), .sample(s_axis_tdata), .trigger(s_axis_tvalid && s_axis_tuser && up),
    .event_valid(m_axis_tvalid), .event_last(m_axis_tlast), .event_data(m_axis_tdata), .event_ready(m_axis_tready),
    .working
  );
  wire unused = &{s_axi_awprot, s_axi_arprot, write_address[1:0], read_address[1:0]};
endmodule
