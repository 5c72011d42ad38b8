// Streams with the interface of the vendor's <hls_stream.h>, as far as edgeconv's stages use it: an unbounded queue.
//
// Stages of a dataflow region run one after the other here. Reading from an empty stream, and leaving data in one, end
// the program: on hardware the one waits for ever and the other corrupts the next sample.
#ifndef EDGE_SHIM_HLS_STREAM_H
#define EDGE_SHIM_HLS_STREAM_H

#include <cstdio>
#include <cstdlib>
#include <vector>

namespace hls {

template <typename T>
class stream {
  public:
    explicit stream(const char* name = "stream") : name_(name), next_(0) {}
    stream(const stream&) = delete;
    ~stream() {
        if (!empty()) stop("was left with data in it");
    }
    bool empty() const { return next_ == words_.size(); }
    void write(const T& word) { words_.push_back(word); }
    T read() {
        if (empty()) stop("is read while it is empty");
        const T word = words_[next_++];
        if (empty()) {
            words_.clear();
            next_ = 0;
        }
        return word;
    }

  private:
    [[noreturn]] void stop(const char* what) const {
        std::fprintf(stderr, "stream %s %s\n", name_, what);
        std::abort();
    }
    const char* name_;
    std::vector<T> words_;
    std::size_t next_;
};

}  // namespace hls

#endif
