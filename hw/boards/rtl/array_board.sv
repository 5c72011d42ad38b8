// The accelerator alone on an ECP5 board, its bus on four pins.
module array_board
  import edge_pkg::*;
#(
  parameter int REFERENCE = 5,
  parameter int FEEDBACK = 23,
  parameter int DIVISOR = 6,
  parameter int CPU_DIVISOR = 15
) (
  input  logic oscillator,
  input  logic sck,
  input  logic csn,
  input  logic mosi,
  output logic miso,
  output logic led
);
  localparam int RESULT_BITS = $clog2(RESULT_WORDS);
  logic clk, reset, cpu_clk, cpu_reset, bus_write, busy;
  logic [3:0] bus_select;
  logic [31:0] bus_address, cycles;
  logic [WORD_BITS-1:0] bus_data;
  logic [RESULT_BITS-1:0] result_address;
  logic [32*LANES-1:0] result_data;

  ecp5_clock #(
    .REFERENCE(REFERENCE), .FEEDBACK(FEEDBACK), .DIVISOR(DIVISOR), .CPU_DIVISOR(CPU_DIVISOR)
  ) clock (.oscillator, .clk, .reset, .cpu_clk, .cpu_reset);
  serial_link link (
    .clk, .reset, .sck, .csn, .mosi, .miso, .bus_write, .bus_select, .bus_address, .bus_data, .result_address,
    .result_data, .busy, .cycles
  );
  accelerator device (
    .clk, .reset, .bus_write, .bus_select, .bus_address, .bus_data, .result_address, .result_data, .busy, .cycles
  );
  always_ff @(posedge clk) led <= busy;

  wire unused = &{cpu_clk, cpu_reset};  // there is no processor
endmodule
