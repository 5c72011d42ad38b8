// Serial port: 8 data bits, no parity, one stop bit; what comes is kept until it is read.
//
// A bit takes `divider` + 1 cycles, 4 at least. `send` is taken while `sending` is low. Received bytes wait in a memory
// of RECEIVED bytes (fifo.sv for the timing of `take`, `received` and `waiting`); `lost` counts those that found it full, `broken`
// those without a stop bit, which are thrown away.
module uart #(
  parameter int RECEIVED = 2048,
  localparam int LEVEL_BITS = $clog2(RECEIVED) + 1
) (
  input  logic                  clk,
  input  logic                  reset,
  input  logic [15:0]           divider,
  input  logic                  rx,
  output logic                  tx,
  input  logic                  send,
  input  logic [7:0]            send_data,
  output logic                  sending,
  input  logic                  take,
  output logic [7:0]            received,
  output logic [LEVEL_BITS-1:0] waiting,
  output logic [15:0]           lost,
  output logic [15:0]           broken
);
  // Sending: a start bit, eight data bits, a stop bit, the lowest first.
  logic [9:0] out;
  logic [3:0] out_left;
  logic [15:0] out_count;
  assign sending = out_left != '0;
  assign tx = sending ? out[0] : 1'b1;
  always_ff @(posedge clk) begin
    if (!sending) begin
      if (send) begin
        out <= {1'b1, send_data, 1'b0};
        out_left <= 4'd10;
        out_count <= divider;
      end
    end else if (out_count != '0) begin
      out_count <= out_count - 1'b1;
    end else begin
      out <= {1'b1, out[9:1]};
      out_left <= out_left - 1'b1;
      out_count <= divider;
    end
    if (reset) out_left <= '0;
  end

  // Receiving: half a bit after the falling edge the start bit is looked at again, then each bit in its middle.
  logic [2:0] line;  // two registers against metastability, one more to see an edge
  logic [7:0] in;
  logic [3:0] in_left;
  logic [15:0] in_count;
  logic byte_done;
  always_ff @(posedge clk) begin
    line <= {line[1:0], rx};
    byte_done <= 1'b0;
    if (in_left == '0) begin
      if (line[2] && !line[1]) begin
        in_left <= 4'd10;
        in_count <= divider >> 1;
      end
    end else if (in_count != '0) begin
      in_count <= in_count - 1'b1;
    end else begin
      in_count <= divider;
      in_left <= in_left - 1'b1;
      if (in_left == 4'd10) begin
        if (line[1]) in_left <= '0;  // a glitch, not a start bit
      end else if (in_left != 4'd1) begin
        in <= {line[1], in[7:1]};
      end else if (line[1]) begin
        byte_done <= 1'b1;
      end else begin
        broken <= broken + 1'b1;
      end
    end
    if (reset) begin
      line <= '1;
      in_left <= '0;
      broken <= '0;
    end
  end

  logic full;
  fifo #(.WIDTH(8), .DEPTH(RECEIVED)) received_bytes (
    .clk, .reset, .push(byte_done), .data_in(in), .full, .pop(take), .data(received), .level(waiting)
  );
  always_ff @(posedge clk) begin
    if (byte_done && full) lost <= lost + 1'b1;
    if (reset) lost <= '0;
  end
endmodule
