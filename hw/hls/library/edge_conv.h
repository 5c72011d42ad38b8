// Convolutions over images of HEIGHT x WIDTH positions (1-D: WIDTH 1), one position a word, all channels in it.
//
// A stage keeps as many rows as its window reaches over. `Shape` holds the geometry and how many multiplications stand
// side by side: OUTPUTS_AT_ONCE x TAPS_AT_ONCE. A tap is one (row, column, channel of the group) of the window, in this
// order. weights[block][...]: blocks of outputs outside, blocks of taps inside; in a block, taps inside outputs.
#ifndef EDGE_CONV_H
#define EDGE_CONV_H

#include "edge_word.h"

namespace edge {

template <typename Shape, typename X, int ROWS>
typename Shape::difference tap(const word<X, Shape::CHANNELS> (&rows)[ROWS][Shape::WIDTH], int y, int x, int index,
                               int group) {
#pragma HLS INLINE
    const int channel = index % Shape::GROUP_CHANNELS;
    const int column = index / Shape::GROUP_CHANNELS % Shape::KERNEL_X;
    const int row = index / (Shape::GROUP_CHANNELS * Shape::KERNEL_X);
    const int iy = y * Shape::STRIDE_Y - Shape::TOP + row * Shape::DILATION_Y;
    const int ix = x * Shape::STRIDE_X - Shape::LEFT + column * Shape::DILATION_X;
    if (iy < 0 || iy >= Shape::HEIGHT || ix < 0 || ix >= Shape::WIDTH) return 0;  // padding is real zero
    return rows[iy % ROWS][ix].lane[group * Shape::GROUP_CHANNELS + channel] - Shape::ZERO_POINT;
}

template <typename Shape, typename Finish, typename X, typename W, typename B>
void conv(hls::stream<word<X, Shape::CHANNELS> >& in, hls::stream<word<typename Finish::type, Shape::OUTPUTS> >& out,
          const W (&weights)[Shape::OUTPUT_BLOCKS * Shape::TAP_BLOCKS][Shape::OUTPUTS_AT_ONCE * Shape::TAPS_AT_ONCE],
          const B (&bias)[Shape::OUTPUTS]) {
#pragma HLS ARRAY_RESHAPE variable = weights dim = 2 complete
    word<X, Shape::CHANNELS> rows[Shape::REACH_Y][Shape::WIDTH];
#pragma HLS ARRAY_PARTITION variable = rows dim = 1 complete
    int received = 0;
    for (int y = 0; y < Shape::OUT_HEIGHT; ++y) {
        const int end = y * Shape::STRIDE_Y - Shape::TOP + Shape::REACH_Y;
        const int needed = end < Shape::HEIGHT ? end : Shape::HEIGHT;
        for (; received < needed; ++received) {
            for (int x = 0; x < Shape::WIDTH; ++x) {
#pragma HLS PIPELINE II = 1
                rows[received % Shape::REACH_Y][x] = in.read();
            }
        }
        for (int x = 0; x < Shape::OUT_WIDTH; ++x) {
            word<typename Finish::type, Shape::OUTPUTS> result;
            for (int outputs = 0; outputs < Shape::OUTPUT_BLOCKS; ++outputs) {
                typename Shape::accumulator sums[Shape::OUTPUTS_AT_ONCE];
                for (int taps = 0; taps < Shape::TAP_BLOCKS; ++taps) {
#pragma HLS PIPELINE II = 1
                    for (int i = 0; i < Shape::OUTPUTS_AT_ONCE; ++i) {
#pragma HLS UNROLL
                        const int output = outputs * Shape::OUTPUTS_AT_ONCE + i;
                        const int group = output / (Shape::OUTPUTS / Shape::GROUPS);
                        typename Shape::accumulator sum = taps == 0 ? typename Shape::accumulator(bias[output]) : sums[i];
                        for (int j = 0; j < Shape::TAPS_AT_ONCE; ++j) {
#pragma HLS UNROLL
                            const int index = taps * Shape::TAPS_AT_ONCE + j;
                            sum = sum + weights[outputs * Shape::TAP_BLOCKS + taps][i * Shape::TAPS_AT_ONCE + j] *
                                            tap<Shape>(rows, y, x, index, group);
                        }
                        sums[i] = sum;
                    }
                }
                for (int i = 0; i < Shape::OUTPUTS_AT_ONCE; ++i) {
#pragma HLS UNROLL
                    const int output = outputs * Shape::OUTPUTS_AT_ONCE + i;
                    result.lane[output] = Finish::apply(output, sums[i]);
                }
            }
            out.write(result);
        }
    }
    for (; received < Shape::HEIGHT; ++received) {  // rows that no window reaches
        for (int x = 0; x < Shape::WIDTH; ++x) in.read();
    }
}

// A transposed convolution: input (qy, qx) reaches output q * stride + tap * dilation - begin. The input is kept whole.
template <typename Shape, typename Finish, typename X, typename W, typename B>
void conv_transpose(
    hls::stream<word<X, Shape::CHANNELS> >& in, hls::stream<word<typename Finish::type, Shape::OUTPUTS> >& out,
    const W (&weights)[Shape::OUTPUT_BLOCKS * Shape::TAP_BLOCKS][Shape::OUTPUTS_AT_ONCE * Shape::TAPS_AT_ONCE],
    const B (&bias)[Shape::OUTPUTS]) {
#pragma HLS ARRAY_RESHAPE variable = weights dim = 2 complete
    word<X, Shape::CHANNELS> image[Shape::HEIGHT][Shape::WIDTH];
    for (int y = 0; y < Shape::HEIGHT; ++y) {
        for (int x = 0; x < Shape::WIDTH; ++x) {
#pragma HLS PIPELINE II = 1
            image[y][x] = in.read();
        }
    }
    for (int y = 0; y < Shape::OUT_HEIGHT; ++y) {
        for (int x = 0; x < Shape::OUT_WIDTH; ++x) {
            word<typename Finish::type, Shape::OUTPUTS> result;
            for (int outputs = 0; outputs < Shape::OUTPUT_BLOCKS; ++outputs) {
                typename Shape::accumulator sums[Shape::OUTPUTS_AT_ONCE];
                for (int taps = 0; taps < Shape::TAP_BLOCKS; ++taps) {
#pragma HLS PIPELINE II = 1
                    for (int i = 0; i < Shape::OUTPUTS_AT_ONCE; ++i) {
#pragma HLS UNROLL
                        const int output = outputs * Shape::OUTPUTS_AT_ONCE + i;
                        const int group = output / (Shape::OUTPUTS / Shape::GROUPS);
                        typename Shape::accumulator sum = taps == 0 ? typename Shape::accumulator(bias[output]) : sums[i];
                        for (int j = 0; j < Shape::TAPS_AT_ONCE; ++j) {
#pragma HLS UNROLL
                            const int index = taps * Shape::TAPS_AT_ONCE + j;
                            const int channel = index % Shape::GROUP_CHANNELS;
                            const int column = index / Shape::GROUP_CHANNELS % Shape::KERNEL_X;
                            const int row = index / (Shape::GROUP_CHANNELS * Shape::KERNEL_X);
                            const int fy = y + Shape::TOP - row * Shape::DILATION_Y;
                            const int fx = x + Shape::LEFT - column * Shape::DILATION_X;
                            const bool meets = fy >= 0 && fx >= 0 && fy % Shape::STRIDE_Y == 0 &&
                                               fx % Shape::STRIDE_X == 0 && fy / Shape::STRIDE_Y < Shape::HEIGHT &&
                                               fx / Shape::STRIDE_X < Shape::WIDTH;
                            if (meets) {
                                const typename Shape::difference value =
                                    image[fy / Shape::STRIDE_Y][fx / Shape::STRIDE_X]
                                        .lane[group * Shape::GROUP_CHANNELS + channel] -
                                    Shape::ZERO_POINT;
                                sum = sum +
                                      weights[outputs * Shape::TAP_BLOCKS + taps][i * Shape::TAPS_AT_ONCE + j] * value;
                            }
                        }
                        sums[i] = sum;
                    }
                }
                for (int i = 0; i < Shape::OUTPUTS_AT_ONCE; ++i) {
#pragma HLS UNROLL
                    const int output = outputs * Shape::OUTPUTS_AT_ONCE + i;
                    result.lane[output] = Finish::apply(output, sums[i]);
                }
            }
            out.write(result);
        }
    }
}

}  // namespace edge

#endif
