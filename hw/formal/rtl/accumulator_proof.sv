// The accumulator moves as specified: from any content, by any term and control, in one cycle.
//
// What is shown of one cycle from any content is shown of every cycle, by induction.
module accumulator_proof
  import edge_pkg::*;
  import pipeline_pkg::*;
#(
  parameter int TERM_BITS = 20
) (
  input logic                        clk,
  input accumulate_t                 control,
  input logic signed [TERM_BITS-1:0] term
);
  logic cycle = '0;
  logic signed [ACC_BITS-1:0] acc, acc_0;
  accumulate_t control_0;
  logic signed [TERM_BITS-1:0] term_0;
  accumulator #(.TERM_BITS(TERM_BITS)) unit (.clk, .control, .term, .acc);

  // The exact sum, which the accumulator holds where it fits; the compiler refuses layers whose sums do not.
  localparam int EXACT = ACC_BITS + 10;
  typedef logic signed [EXACT-1:0] exact_t;
  wire exact_t kept = control_0.first ? '0 : control_0.shift ? exact_t'(acc_0) * exact_t'(256) : exact_t'(acc_0);
  wire exact_t sum = kept + exact_t'(term_0);
  wire exact_t largest = control_0.first || exact_t'(term_0) > exact_t'(acc_0) ? exact_t'(term_0) : exact_t'(acc_0);
  wire exact_t expected = !control_0.enable ? exact_t'(acc_0) : control_0.maximum ? largest : sum;
  wire fits = expected == exact_t'(signed'(expected[ACC_BITS-1:0]));
  wire was_term = exact_t'(acc_0) == exact_t'(signed'(acc_0[TERM_BITS-1:0]));

  always_ff @(posedge clk) begin
    cycle <= 1'b1;
    {acc_0, control_0, term_0} <= {acc, control, term};
  end
  always_comb begin
    // A largest term is looked for among terms only.
    if (cycle && fits && (!control_0.maximum || control_0.first || was_term)) begin
      accumulation : assert (exact_t'(acc) == expected);
    end
    if (cycle && control_0.enable && control_0.maximum && (control_0.first || was_term)) begin
      stays_a_term : assert (exact_t'(acc) == exact_t'(signed'(acc[TERM_BITS-1:0])));
    end
  end
endmodule
