// Crossing from the processor's clock to the array's, for one access of a register at a time.
//
// Processor's side: `valid` with `write`, `address` and `data_in` is held until `ready` is high for one cycle, with
// `data_out` where it is a read. Array's side: `access` is high for one cycle, with the others stable from then until the
// answer is back; `answer` is taken DUE cycles after `access`.
//
// Only two toggles cross, each through two registers; everything else is still while the other side looks at it, so the
// clocks may have any ratio and phase. Where no answer comes within PATIENCE cycles (the array's clock stands still)
// the access ends with `failed`.
module crossing #(
  parameter int ADDRESS_BITS = 8,
  parameter int PATIENCE = 4095,
  parameter int DUE = 2  // 2 at least
) (
  input  logic                    cpu_clk,
  input  logic                    cpu_reset,
  input  logic                    restart,  // of the processor: an access that is under way comes to its end
  input  logic                    valid,
  input  logic                    write,
  input  logic [ADDRESS_BITS-1:0] address,
  input  logic [31:0]             data_in,
  output logic                    ready,
  output logic                    failed,
  output logic [31:0]             data_out,
  input  logic                    array_clk,
  input  logic                    array_reset,
  output logic                    access,
  output logic                    access_write,
  output logic [ADDRESS_BITS-1:0] access_address,
  output logic [31:0]             access_data,
  input  logic [31:0]             answer
);
  localparam int PATIENCE_BITS = $clog2(PATIENCE + 1);
  logic request, acknowledge;
  logic [1:0] request_q, acknowledge_q;
  logic [31:0] answered;

  // An access that was given up may still be under way when the next one comes, which then waits for its turn.
  wire idle = request == acknowledge_q[1];
  logic waiting, launched;
  logic [PATIENCE_BITS-1:0] patience;
  always_ff @(posedge cpu_clk) begin
    acknowledge_q <= {acknowledge_q[0], acknowledge};
    ready <= 1'b0;
    if (!waiting) begin
      waiting <= valid && !ready;
      launched <= 1'b0;
      patience <= PATIENCE_BITS'(PATIENCE);
    end else begin
      patience <= patience - 1'b1;
      if (idle && !launched) begin
        launched <= 1'b1;
        request <= !request;
        access_write <= write;
        access_address <= address;
        access_data <= data_in;
      end
      if ((idle && launched) || patience == '0) begin
        waiting <= 1'b0;
        ready <= 1'b1;
        failed <= !(idle && launched);
        data_out <= answered;
      end
    end
    if (cpu_reset) request <= acknowledge_q[1];
    if (cpu_reset || restart) begin
      waiting <= 1'b0;
      ready <= 1'b0;
    end
  end

  logic [DUE-1:0] due;
  logic seen;
  always_ff @(posedge array_clk) begin
    request_q <= {request_q[0], request};
    seen <= request_q[1];
    access <= request_q[1] != seen;
    due <= {due[DUE-2:0], access};
    if (due[DUE-1]) begin
      answered <= answer;
      acknowledge <= seen;
    end
    if (array_reset) begin
      access <= 1'b0;
      due <= '0;
      acknowledge <= request_q[1];
    end
  end
endmodule
