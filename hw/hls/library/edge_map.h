// Element by element: WORDS words of LANES elements. `Channel::of(word, lane)` is the index of an element's constants.
#ifndef EDGE_MAP_H
#define EDGE_MAP_H

#include "edge_word.h"

namespace edge {

template <int WORDS, typename Channel, typename Finish, typename X, int LANES>
void map(hls::stream<word<X, LANES> >& in, hls::stream<word<typename Finish::type, LANES> >& out) {
    for (int position = 0; position < WORDS; ++position) {
#pragma HLS PIPELINE II = 1
        const word<X, LANES> x = in.read();
        word<typename Finish::type, LANES> result;
        for (int lane = 0; lane < LANES; ++lane) {
#pragma HLS UNROLL
            result.lane[lane] = Finish::apply(Channel::of(position, lane), x.lane[lane]);
        }
        out.write(result);
    }
}

// Two operands: `Finish::apply(channel, a, b)`.
template <int WORDS, typename Channel, typename Finish, typename A, typename B, int LANES>
void map2(hls::stream<word<A, LANES> >& first, hls::stream<word<B, LANES> >& second,
          hls::stream<word<typename Finish::type, LANES> >& out) {
    for (int position = 0; position < WORDS; ++position) {
#pragma HLS PIPELINE II = 1
        const word<A, LANES> a = first.read();
        const word<B, LANES> b = second.read();
        word<typename Finish::type, LANES> result;
        for (int lane = 0; lane < LANES; ++lane) {
#pragma HLS UNROLL
            result.lane[lane] = Finish::apply(Channel::of(position, lane), a.lane[lane], b.lane[lane]);
        }
        out.write(result);
    }
}

}  // namespace edge

#endif
