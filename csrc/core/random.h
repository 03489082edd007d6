// Generator: the state of counter-based (Philox) random numbers. A kernel draws element i from
// (seed, offset, i) alone, so results depend neither on threads nor on the instruction set.
#pragma once
#include <cstdint>
#include <mutex>

#include "core/ref.h"

namespace deeplite {

class Generator : public RefCounted {
 public:
    explicit Generator(uint64_t seed = kDefaultSeed) : seed_(seed) {}
    static constexpr uint64_t kDefaultSeed = 67280421310721u;

    struct State {
        uint64_t seed, offset;
    };
    void manual_seed(uint64_t seed);  // also rewinds the offset
    uint64_t seed();                  // from the operating system's entropy; returned
    uint64_t initial_seed() const;
    State state() const;
    void set_state(State s);
    // Hands `n` counters to the caller: returns the state to draw them with and moves past them.
    State reserve(uint64_t n);

 private:
    mutable std::mutex mutex_;
    uint64_t seed_;
    uint64_t offset_ = 0;
};

Ref<Generator> default_generator();

}  // namespace deeplite
