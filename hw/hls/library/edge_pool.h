// Windows without weights: the largest value, and the sum on a common denominator.
#ifndef EDGE_POOL_H
#define EDGE_POOL_H

#include "edge_word.h"

namespace edge {

// `Reduce` says what is done with the values under a window: start, one value more, the end of it.
template <typename Shape, typename Reduce, typename Finish, typename X>
void pool(hls::stream<word<X, Shape::CHANNELS> >& in, hls::stream<word<typename Finish::type, Shape::CHANNELS> >& out) {
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
            typename Reduce::type found[Shape::CHANNELS];
#pragma HLS ARRAY_PARTITION variable = found complete
            for (int channel = 0; channel < Shape::CHANNELS; ++channel) {
#pragma HLS UNROLL
                found[channel] = Reduce::start();
            }
            for (int index = 0; index < Shape::KERNEL_Y * Shape::KERNEL_X; ++index) {
#pragma HLS PIPELINE II = 1
                const int iy = y * Shape::STRIDE_Y - Shape::TOP + index / Shape::KERNEL_X * Shape::DILATION_Y;
                const int ix = x * Shape::STRIDE_X - Shape::LEFT + index % Shape::KERNEL_X * Shape::DILATION_X;
                if (iy < 0 || iy >= Shape::HEIGHT || ix < 0 || ix >= Shape::WIDTH) continue;
                for (int channel = 0; channel < Shape::CHANNELS; ++channel) {
#pragma HLS UNROLL
                    found[channel] = Reduce::take(found[channel], rows[iy % Shape::REACH_Y][ix].lane[channel]);
                }
            }
            word<typename Finish::type, Shape::CHANNELS> result;
            for (int channel = 0; channel < Shape::CHANNELS; ++channel) {
#pragma HLS UNROLL
                result.lane[channel] = Finish::apply(channel, Reduce::end(found[channel], y * Shape::OUT_WIDTH + x));
            }
            out.write(result);
        }
    }
    for (; received < Shape::HEIGHT; ++received) {  // rows that no window reaches
        for (int x = 0; x < Shape::WIDTH; ++x) in.read();
    }
}

// Over any axes: element (word, lane) of the input belongs to element `Place::of(word, lane)` of the output.
template <int WORDS, int OUT_WORDS, int OUT_LANES, typename Place, typename Reduce, typename Finish, typename X, int LANES>
void reduce(hls::stream<word<X, LANES> >& in, hls::stream<word<typename Finish::type, OUT_LANES> >& out) {
    typename Reduce::type found[OUT_WORDS * OUT_LANES];
    for (int place = 0; place < OUT_WORDS * OUT_LANES; ++place) found[place] = Reduce::start();
    for (int position = 0; position < WORDS; ++position) {
        const word<X, LANES> x = in.read();
        for (int lane = 0; lane < LANES; ++lane) {
            const int place = Place::of(position, lane);
            found[place] = Reduce::take(found[place], x.lane[lane]);
        }
    }
    for (int position = 0; position < OUT_WORDS; ++position) {
#pragma HLS PIPELINE II = 1
        word<typename Finish::type, OUT_LANES> result;
        for (int lane = 0; lane < OUT_LANES; ++lane) {
            const int place = position * OUT_LANES + lane;
            result.lane[lane] = Finish::apply(place, Reduce::end(found[place], place));
        }
        out.write(result);
    }
}

}  // namespace edge

#endif
