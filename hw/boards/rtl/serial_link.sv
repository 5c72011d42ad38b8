// The accelerator's bus behind four wires (SPI mode 0, most significant bit first).
//
// A frame of 104 bits while `csn` is low writes the bus: four zeros, select (4), address (32), data (64). Select 15
// reads instead: address bit 31 chooses {busy, cycles} in the highest 33 bits, otherwise the eight results at the
// address; the 256 bits come out on `miso`, one with each clock after that frame. `sck` may be as fast as a tenth of
// `clk`. A frame is cut off by raising `csn`.
module serial_link
  import edge_pkg::*;
#(
  localparam int RESULT_BITS = $clog2(RESULT_WORDS)
) (
  input  logic                   clk,
  input  logic                   reset,
  input  logic                   sck,
  input  logic                   csn,
  input  logic                   mosi,
  output logic                   miso,
  output logic                   bus_write,
  output logic [3:0]             bus_select,
  output logic [31:0]            bus_address,
  output logic [WORD_BITS-1:0]   bus_data,
  output logic [RESULT_BITS-1:0] result_address,
  input  logic [32*LANES-1:0]    result_data,
  input  logic                   busy,
  input  logic [31:0]            cycles
);
  localparam int FRAME = 8 + 32 + WORD_BITS;
  localparam logic [3:0] READ = 4'd15;
  localparam int LOAD_AT = 2 + RESULT_CYCLES;  // cycles from the end of a frame until its result is there

  logic [2:0] sck_q;
  logic [1:0] csn_q, mosi_q;
  logic [FRAME-1:0] frame;
  logic [$clog2(FRAME)-1:0] count;
  logic complete;
  logic [LOAD_AT-1:0] reading;
  logic [32*LANES-1:0] out;
  wire rises = sck_q[2:1] == 2'b01;
  wire is_read = frame[FRAME-5 -: 4] == READ;

  always_ff @(posedge clk) begin
    sck_q <= {sck_q[1:0], sck};
    csn_q <= {csn_q[0], csn};
    mosi_q <= {mosi_q[0], mosi};
    complete <= 1'b0;
    if (csn_q[1]) count <= '0;
    else if (rises) begin
      frame <= {frame[FRAME-2:0], mosi_q[1]};
      complete <= count == 7'(FRAME - 1);
      count <= count == 7'(FRAME - 1) ? '0 : count + 1'b1;
    end

    bus_write <= complete && !is_read && !reset;
    if (complete) {bus_select, bus_address, bus_data} <= frame[FRAME-5:0];
    reading <= {reading[LOAD_AT-2:0], complete && is_read};
    if (reading[LOAD_AT-1]) out <= bus_address[31] ? {busy, cycles, 223'b0} : result_data;
    else if (rises) out <= {out[32*LANES-2:0], 1'b0};
    miso <= out[32*LANES-1];
  end
  assign result_address = bus_address[RESULT_BITS-1:0];

  wire unused = &{frame[FRAME-1 -: 4]};
endmodule
