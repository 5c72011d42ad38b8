// Records that travel along the pipeline.
package pipeline_pkg;
  import edge_pkg::*;

  // What an accumulator does with the sum of a word.
  typedef struct packed {
    logic enable;
    logic first;    // forget what was there
    logic shift;    // multiply what was there by 256
    logic maximum;  // keep the larger of what was there and the sum
  } accumulate_t;

  // What the end of the pipeline needs to know about a layer.
  typedef struct packed {
    logic signed [31:0] clip_lo;
    logic signed [31:0] clip_hi;
    logic odd;
    logic use_table;
    logic [3:0] table_index;
    logic to_results;
    logic [2:0] beats;
    logic [2:0] last_beats;
    logic [3:0] last_bytes;
  } settings_t;

  // A position that ends, on its way to the point where its beats are made.
  typedef struct packed {
    logic last;
    logic last_group;
    logic [2:0] tag;
    logic [ADDRESS_BITS-1:0] out;
    logic [11:0] parameter_address;
  } ending_t;

  // A beat on its way to the memory it is written to.
  typedef struct packed {
    logic valid;
    logic [2:0] tag;
    logic [3:0] bytes;
    logic [ADDRESS_BITS-1:0] address;
  } beat_t;
endpackage
