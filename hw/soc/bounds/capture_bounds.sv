// Windows stay within their slots (see hw/sim/bounds/accelerator_bounds.sv).
module capture_bounds
  import soc_pkg::*;
#(
  parameter int SLOT_BITS = 2,
  parameter int LINE_BITS = 7
) (
  input logic                 clk,
  input logic                 reset,
  input logic [SLOT_BITS:0]   held,
  input logic [SLOT_BITS:0]   whole,
  input logic                 stores,
  input logic                 ends,
  input logic [LINE_BITS+2:0] position
);
  always_ff @(posedge clk) begin
    if (!reset) begin
      if (held > (SLOT_BITS+1)'(SLOTS)) $fatal(1, "more windows than slots");
      if (whole > held) $fatal(1, "a window is whole that has not come to its end");
      if (stores && !ends && 32'(position) == MOST_WINDOW - 1) $fatal(1, "a window is longer than its slot");
    end
  end
endmodule

bind capture capture_bounds #(.SLOT_BITS(SLOT_BITS), .LINE_BITS(LINE_BITS)) bounds (
  .clk, .reset, .held, .whole, .stores, .ends, .position
);
