// The multiplier block of an ECP5 as the tools know it, without a body: those of its parameters and ports that
// ecp5_mult18.sv sets. For elaboration with slang only.
(* blackbox *)
module MULT18X18D #(
  parameter string REG_INPUTA_CLK = "NONE",
  parameter string REG_INPUTA_CE = "CE0",
  parameter string REG_INPUTA_RST = "RST0",
  parameter string REG_INPUTB_CLK = "NONE",
  parameter string REG_INPUTB_CE = "CE0",
  parameter string REG_INPUTB_RST = "RST0",
  parameter string REG_INPUTC_CLK = "NONE",
  parameter string REG_INPUTC_CE = "CE0",
  parameter string REG_INPUTC_RST = "RST0",
  parameter string REG_PIPELINE_CLK = "NONE",
  parameter string REG_PIPELINE_CE = "CE0",
  parameter string REG_PIPELINE_RST = "RST0",
  parameter string REG_OUTPUT_CLK = "NONE",
  parameter string REG_OUTPUT_CE = "CE0",
  parameter string REG_OUTPUT_RST = "RST0",
  parameter string CLK0_DIV = "ENABLED",
  parameter string CLK1_DIV = "ENABLED",
  parameter string CLK2_DIV = "ENABLED",
  parameter string CLK3_DIV = "ENABLED",
  parameter string GSR = "ENABLED",
  parameter string SOURCEB_MODE = "B_SHIFT",
  parameter string MULT_BYPASS = "DISABLED",
  parameter string RESETMODE = "SYNC"
) (
  input
    CLK0, CLK1, CLK2, CLK3, CE0, CE1, CE2, CE3, RST0, RST1, RST2, RST3, SIGNEDA, SIGNEDB, SOURCEA, SOURCEB, A0,
    A1, A2, A3, A4, A5, A6, A7, A8, A9, A10, A11, A12, A13, A14, A15, A16, A17, B0, B1, B2, B3, B4, B5, B6, B7,
    B8, B9, B10, B11, B12, B13, B14, B15, B16, B17,
  output
    P0, P1, P2, P3, P4, P5, P6, P7, P8, P9, P10, P11, P12, P13, P14, P15, P16, P17, P18, P19, P20, P21, P22,
    P23, P24, P25, P26, P27, P28, P29, P30, P31, P32, P33, P34, P35
);
endmodule
