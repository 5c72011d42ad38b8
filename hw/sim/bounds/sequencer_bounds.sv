// Descriptors are fetched within their memory (see accelerator_bounds.sv).
module sequencer_bounds
  import edge_pkg::*;
#(
  parameter int FETCH_BITS = 11
) (
  input logic                  clk,
  input logic                  reset,
  input logic                  take,
  input descriptor_t           next,
  input logic [FETCH_BITS-1:0] fetch_address
);
  // The address has come to its end, and would begin anew.
  always_ff @(posedge clk) begin
    if (!reset && take && !next.last_layer && fetch_address == '0)
      $fatal(1, "descriptors are fetched beyond their memory");
  end
  wire unused = &next;
endmodule

bind sequencer sequencer_bounds #(.FETCH_BITS(FETCH_BITS)) bounds (.clk, .reset, .take, .next, .fetch_address);
