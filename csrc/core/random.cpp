#include "core/random.h"

#include <random>

namespace deeplite {

void Generator::manual_seed(uint64_t seed) { set_state({seed, 0}); }

uint64_t Generator::seed() {
    std::random_device entropy;
    uint64_t s = uint64_t(entropy()) << 32 | entropy();
    manual_seed(s);
    return s;
}

uint64_t Generator::initial_seed() const { return state().seed; }

Generator::State Generator::state() const {
    std::lock_guard lock(mutex_);
    return {seed_, offset_};
}

void Generator::set_state(State s) {
    std::lock_guard lock(mutex_);
    seed_ = s.seed;
    offset_ = s.offset;
}

Generator::State Generator::reserve(uint64_t n) {
    std::lock_guard lock(mutex_);
    State s{seed_, offset_};
    offset_ += n;
    return s;
}

Ref<Generator> default_generator() {
    static Ref<Generator>* g = new Ref<Generator>(new Generator);  // outlives every user
    return *g;
}

}  // namespace deeplite
