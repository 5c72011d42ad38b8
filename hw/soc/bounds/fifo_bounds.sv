// A queue holds no more than its memory (see hw/sim/bounds/accelerator_bounds.sv). That it does not give more than was put
// into it is watched in fifo.sv itself.
module fifo_bounds #(
  parameter int DEPTH = 512,
  parameter int BITS = 9
) (
  input logic          clk,
  input logic          reset,
  input logic [BITS:0] written,
  input logic [BITS:0] taken
);
  wire [BITS:0] held = written - taken;
  always_ff @(posedge clk) begin
    if (!reset && held > (BITS+1)'(DEPTH)) $fatal(1, "a queue holds more than there is room for");
  end
endmodule

bind fifo fifo_bounds #(.DEPTH(DEPTH), .BITS(BITS)) bounds (.clk, .reset, .written, .taken);
