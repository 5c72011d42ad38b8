// Events stay within the result memory (see hw/sim/bounds/accelerator_bounds.sv). What the feeder writes to the activation
// memory is watched there.
module feeder_bounds #(
  parameter int RESULT_BITS = 9
) (
  input logic                   clk,
  input logic                   reset,
  input logic                   given,
  input logic                   in_header,
  input logic                   event_last,
  input logic [2:0]             lane,
  input logic [RESULT_BITS-1:0] result_address
);
  always_ff @(posedge clk) begin
    if (!reset && given && !in_header && !event_last && lane == '1 && result_address == '1)
      $fatal(1, "an event has more values than there are results");
  end
endmodule

bind feeder feeder_bounds #(.RESULT_BITS(RESULT_BITS)) bounds (
  .clk, .reset, .given, .in_header, .event_last, .lane, .result_address
);
