// Beats: turns the end of a position into writes of BEAT results, one a cycle.
//
// Timing: `last` in cycle t gives the position's first beat in cycle t + 1 and the others in the cycles after it. The
// compiler gives a position at least as many words as it has beats, so beats of two positions never meet.
module beats
  import edge_pkg::*;
#(
  parameter int TAG_BITS = 3
) (
  input  logic                          clk,
  input  logic                          reset,
  input  logic                          last,
  input  logic        [TAG_BITS-1:0]    tag_in,
  input  logic        [2:0]             count,        // of the position
  input  logic        [3:0]             last_bytes,   // in the last beat of the position
  input  logic        [ADDRESS_BITS-1:0] step,        // of the address from a beat to the next
  input  logic        [ADDRESS_BITS-1:0] address_in,
  input  logic        [11:0]            parameter_in,
  output logic                          valid,
  output logic        [2:0]             index,
  output logic        [TAG_BITS-1:0]    tag,
  output logic        [3:0]             bytes,
  output logic        [ADDRESS_BITS-1:0] address,
  output logic        [11:0]            parameter_address
);
  logic [2:0] left;
  logic [3:0] bytes_at_end;
  logic [ADDRESS_BITS-1:0] step_q;

  always_ff @(posedge clk) begin
    if (last) begin
      valid <= 1'b1;
      index <= '0;
      tag <= tag_in;
      left <= count - 1'b1;
      bytes_at_end <= last_bytes;
      bytes <= count == 3'd1 ? last_bytes : 4'(BEAT);
      step_q <= step;
      address <= address_in;
      parameter_address <= parameter_in;
    end else if (left != '0) begin
      index <= index + 1'b1;
      left <= left - 1'b1;
      bytes <= left == 3'd1 ? bytes_at_end : 4'(BEAT);
      address <= address + step_q;
      parameter_address <= parameter_address + 1'b1;
    end else begin
      valid <= 1'b0;
    end
    if (reset) begin
      valid <= 1'b0;
      left <= '0;
    end
  end

`ifndef SYNTHESIS
  always_ff @(posedge clk) begin
    if (!reset && last && valid && left != '0) $fatal(1, "a position ends before the beats of the one before it");
  end
`endif
endmodule
