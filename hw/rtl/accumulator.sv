// Accumulator of one output channel.
//
// Timing: term and control in cycle t give `acc` in cycle t + 1. The largest term is looked for among terms only, so what
// is kept then has no more bits than they have.
module accumulator
  import edge_pkg::*;
  import pipeline_pkg::*;
#(
  parameter int TERM_BITS = 20
) (
  input  logic                        clk,
  input  accumulate_t                 control,
  input  logic signed [TERM_BITS-1:0] term,
  output logic signed [ACC_BITS-1:0]  acc
);
  wire signed [ACC_BITS-1:0] kept = control.first ? '0 : control.shift ? acc <<< 8 : acc;
  wire signed [TERM_BITS-1:0] largest = acc[TERM_BITS-1:0];

  always_ff @(posedge clk) begin
    if (control.enable) begin
      if (!control.maximum) acc <= kept + ACC_BITS'(term);
      else if (control.first || term > largest) acc <= ACC_BITS'(term);
    end
  end
endmodule
