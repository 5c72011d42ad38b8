// Products with a constant matrix: ROWS vectors, each INPUT_WORDS words of INPUT_LANES elements in order of arrival.
#ifndef EDGE_DENSE_H
#define EDGE_DENSE_H

#include "edge_word.h"

namespace edge {

// weights[(word * LANE_BLOCKS + lanes) * OUTPUT_BLOCKS + outputs][...]: in a block, lanes inside outputs.
template <typename Shape, typename Finish, typename X, typename W, typename B>
void dense(hls::stream<word<X, Shape::INPUT_LANES> >& in,
           hls::stream<word<typename Finish::type, Shape::OUTPUT_LANES> >& out,
           const W (&weights)[Shape::INPUT_WORDS * Shape::LANE_BLOCKS * Shape::OUTPUT_BLOCKS]
                             [Shape::OUTPUTS_AT_ONCE * Shape::LANES_AT_ONCE],
           const B (&bias)[Shape::OUTPUTS]) {
#pragma HLS ARRAY_RESHAPE variable = weights dim = 2 complete
    for (int row = 0; row < Shape::ROWS; ++row) {
        typename Shape::accumulator sums[Shape::OUTPUT_BLOCKS][Shape::OUTPUTS_AT_ONCE];
#pragma HLS ARRAY_PARTITION variable = sums dim = 2 complete
        for (int position = 0; position < Shape::INPUT_WORDS; ++position) {
            const word<X, Shape::INPUT_LANES> x = in.read();
            for (int lanes = 0; lanes < Shape::LANE_BLOCKS; ++lanes) {
                for (int outputs = 0; outputs < Shape::OUTPUT_BLOCKS; ++outputs) {
#pragma HLS PIPELINE II = 1
                    const int block = (position * Shape::LANE_BLOCKS + lanes) * Shape::OUTPUT_BLOCKS + outputs;
                    for (int i = 0; i < Shape::OUTPUTS_AT_ONCE; ++i) {
#pragma HLS UNROLL
                        const bool first = position == 0 && lanes == 0;
                        typename Shape::accumulator sum =
                            first ? typename Shape::accumulator(bias[outputs * Shape::OUTPUTS_AT_ONCE + i])
                                  : sums[outputs][i];
                        for (int j = 0; j < Shape::LANES_AT_ONCE; ++j) {
#pragma HLS UNROLL
                            const typename Shape::difference value =
                                x.lane[lanes * Shape::LANES_AT_ONCE + j] - Shape::ZERO_POINT;
                            sum = sum + weights[block][i * Shape::LANES_AT_ONCE + j] * value;
                        }
                        sums[outputs][i] = sum;
                    }
                }
            }
        }
        for (int position = 0; position < Shape::OUTPUTS / Shape::OUTPUT_LANES; ++position) {
#pragma HLS PIPELINE II = 1
            word<typename Finish::type, Shape::OUTPUT_LANES> result;
            for (int lane = 0; lane < Shape::OUTPUT_LANES; ++lane) {
#pragma HLS UNROLL
                const int output = position * Shape::OUTPUT_LANES + lane;
                result.lane[lane] = Finish::apply(
                    output, sums[output / Shape::OUTPUTS_AT_ONCE][output % Shape::OUTPUTS_AT_ONCE]);
            }
            out.write(result);
        }
    }
}

}  // namespace edge

#endif
