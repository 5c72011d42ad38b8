// Accumulator of one output channel.
//
// Timing: term and control in cycle t give `acc` in cycle t + 1.
module accumulator
  import edge_pkg::*;
  import pipeline_pkg::*;
(
  input  logic                       clk,
  input  accumulate_t                control,
  input  logic signed [ACC_BITS-1:0] term,
  output logic signed [ACC_BITS-1:0] acc
);
  wire signed [ACC_BITS-1:0] kept = control.first ? '0 : control.shift ? acc <<< 8 : acc;

  always_ff @(posedge clk) begin
    if (control.enable) begin
      if (!control.maximum) acc <= kept + term;
      else if (control.first || term > acc) acc <= term;
    end
  end
endmodule
