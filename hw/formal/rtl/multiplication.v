// Multiplication as a sum of shifted multiplicands, one for each bit of the first factor: for solvers, which make worse
// of it by themselves.
(* techmap_celltype = "$mul" *)
module multiplication (A, B, Y);
  parameter A_SIGNED = 1;
  parameter B_SIGNED = 1;
  parameter A_WIDTH = 1;
  parameter B_WIDTH = 1;
  parameter Y_WIDTH = 1;
  input [A_WIDTH-1:0] A;
  input [B_WIDTH-1:0] B;
  output [Y_WIDTH-1:0] Y;
  wire [Y_WIDTH-1:0] multiplicand;
  generate
    if (B_SIGNED) assign multiplicand = $signed(B);
    else assign multiplicand = B;
  endgenerate
  wire [Y_WIDTH-1:0] sum [0:A_WIDTH];
  assign sum[0] = 0;
  genvar i;
  generate
    for (i = 0; i < A_WIDTH; i = i + 1) begin : bits
      wire [Y_WIDTH-1:0] term = A[i] ? multiplicand << i : 0;
      if (A_SIGNED && i == A_WIDTH - 1) assign sum[i+1] = sum[i] - term;
      else assign sum[i+1] = sum[i] + term;
    end
  endgenerate
  assign Y = sum[A_WIDTH];
endmodule
