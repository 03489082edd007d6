// A thread pool of our own behind kernels/parallel.h, rather than an OpenMP run-time: a forked child can
// make itself a new one, idle workers sleep after some microseconds whatever the environment says, many
// Python threads share one set of workers, and a wheel needs no further library.
//
// The calling thread always works on its own job, and chunks are claimed one by one; it waits only for
// chunks that a worker has begun. So a worker that is late (a busy neighbour) delays nobody. Each thread
// begins with a share of its own, the same one every time: what it wrote in one kernel, its cache still
// has in the next.
#include "kernels/parallel.h"

#include <pthread.h>
#include <signal.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <new>
#include <thread>

#include "kernels/cpu/cpu_count.h"
#include "kernels/cpu/memory.h"
#if defined(__SSE2__)
#include <immintrin.h>
#endif
#if defined(__linux__)
#include <sched.h>
#endif

namespace deeplite::cpu {
namespace {

// Long enough to bridge the gap between two kernels of a training step, short enough not to be seen.
constexpr auto kSpin = std::chrono::microseconds(50);

// While one of these lives, denormals are flushed to zero on this thread.
class FlushDenormals {
 public:
#if defined(__SSE2__)
    FlushDenormals() : saved_(_mm_getcsr()) {
        if ((saved_ & kBits) != kBits) _mm_setcsr(saved_ | kBits);
    }
    ~FlushDenormals() {
        if ((saved_ & kBits) != kBits) _mm_setcsr(saved_);
    }

 private:
    static constexpr unsigned kBits = 0x8040;  // flush to zero, denormals are zero
    unsigned saved_;
#elif defined(__aarch64__)
    FlushDenormals() {
        asm volatile("mrs %0, fpcr" : "=r"(saved_));
        asm volatile("msr fpcr, %0" ::"r"(saved_ | (uint64_t(1) << 24)));
    }
    ~FlushDenormals() { asm volatile("msr fpcr, %0" ::"r"(saved_)); }

 private:
    uint64_t saved_;
#else
    FlushDenormals() {}
#endif
};

void pause_cpu() {
#if defined(__SSE2__)
    _mm_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
}

// Polls `done` for at most `limit`; the last answer.
template <class F>
bool spin_until(std::chrono::microseconds limit, const F& done) {
    if (limit.count() == 0) return done();
    const auto end = std::chrono::steady_clock::now() + limit;
    for (;;) {
        for (int i = 0; i < 32; ++i) {
            if (done()) return true;
            pause_cpu();
        }
        if (std::chrono::steady_clock::now() >= end) return done();
    }
}

int current_cpu() {
#if defined(__linux__)
    return sched_getcpu();
#else
    return -1;
#endif
}

// Keeps a worker off the processor its caller runs on. When all processors are busy (another library's
// threads that spin, another process), the scheduler likes to wake a worker right there, where it does
// nothing but push the caller aside; on any other it wins at least a share of the time.
class StepAside {
 public:
    void from(int cpu) {
#if defined(__linux__)
        if (cpu < 0 || cpu >= CPU_SETSIZE || cpu != current_cpu()) return;
        if (!known_) {  // what the thread was born with is the most it may use
            if (sched_getaffinity(0, sizeof allowed_, &allowed_) != 0) return;
            known_ = true;
        }
        cpu_set_t others = allowed_;
        CPU_CLR(cpu, &others);
        if (CPU_COUNT(&others) > 0) sched_setaffinity(0, sizeof others, &others);
#else
        (void)cpu;
#endif
    }

 private:
#if defined(__linux__)
    cpu_set_t allowed_;
#endif
    bool known_ = false;
};

constexpr int kShares = 32;  // at most; of more threads some begin together

// The chunks that a thread begins with: [from, to), packed so that one exchange claims one of them.
// Its owner takes the first, who has nothing left of his own the last one.
struct alignas(64) Share {
    std::atomic<uint64_t> range;

    void fill(uint64_t from, uint64_t to) {
        range.store(from << 32 | to, std::memory_order_relaxed);
    }
    bool empty() const {
        const uint64_t r = range.load(std::memory_order_relaxed);
        return r >> 32 == (r & 0xffffffff);
    }
    // The chunk claimed, or -1.
    int64_t claim(bool own) {
        uint64_t r = range.load(std::memory_order_relaxed);
        for (;;) {
            const uint64_t from = r >> 32, to = r & 0xffffffff;
            if (from == to) return -1;
            const uint64_t left = own ? (from + 1) << 32 | to : from << 32 | (to - 1);
            if (range.compare_exchange_weak(r, left, std::memory_order_relaxed))
                return int64_t(own ? from : to - 1);
        }
    }
};

struct Job {
    dl_range_fn fn;
    void* ctx;
    int64_t n, grain;
    int wanted;    // most workers that may help
    int cpu;       // where the caller runs
    int64_t unit;  // chunks that are claimed at once: one, unless there are billions
    int shares;
    Share share[kShares];         // in order; the caller's is the first
    std::atomic<int> helpers{0};  // workers inside; raised under the pool's lock only
    Job* link = nullptr;          // in the pool's list of open jobs

    Job(dl_range_fn f, void* c, int64_t size, int64_t step, int64_t chunks, int threads)
        : fn(f), ctx(c), n(size), grain(step), wanted(threads - 1), cpu(current_cpu()) {
        unit = (chunks >> 31) + 1;
        const uint64_t claims = uint64_t((chunks - 1) / unit + 1);
        shares = threads < kShares ? threads : kShares;
        for (uint64_t i = 0, count = uint64_t(shares); i < count; ++i)
            share[i].fill(claims * i / count, claims * (i + 1) / count);
    }

    // Works until nothing is left to claim, beginning with its own share.
    void run(int who) {
        for (int i = 0; i < shares; ++i) {
            Share& from = share[(who + i) % shares];
            for (int64_t claim; (claim = from.claim(i == 0)) >= 0;) {
                const int64_t first = claim * unit * grain;
                for (int64_t k = 0; k < unit && first + k * grain < n; ++k) {
                    const int64_t begin = first + k * grain;
                    fn(ctx, begin, n - begin < grain ? n : begin + grain);
                }
            }
        }
    }
    bool open() const {
        for (int i = 0; i < shares; ++i)
            if (!share[i].empty()) return true;
        return false;
    }
};

class Pool {
 public:
    void run(Job& job, int threads);
    // Around fork(): the child gets an empty pool, the parent keeps its own.
    void before_fork() { mutex_.lock(); }
    void after_fork_in_parent() { mutex_.unlock(); }

 private:
    void post(Job& job, int threads);
    void withdraw(Job& job);
    void work();
    Job* take();  // an open job that wants help, entered; null when there is none
    static void* worker_main(void* pool);

    std::mutex mutex_;
    std::condition_variable wake_;      // workers sleep here
    std::condition_variable finished_;  // callers sleep here, until a job's last helper has left
    Job* jobs_ = nullptr;
    int workers_ = 0;
    int started_ = 0;  // workers that have begun to work, numbered in this order
    int sleeping_ = 0;
    std::chrono::microseconds spin_{0};
    std::atomic<uint64_t> posted_{0};
    std::atomic<int> callers_waiting_{0};
};

alignas(
    Pool) char pool_memory[sizeof(Pool)];  // never destroyed: workers outlive static destructors
Pool* pool = nullptr;
std::once_flag pool_once;
std::atomic<int> thread_count{0};  // 0: not asked for yet
thread_local bool inside_parallel_region = false;

void make_pool() { pool = new (pool_memory) Pool; }

void Pool::run(Job& job, int threads) {
    post(job, threads);
    inside_parallel_region = true;
    job.run(0);
    inside_parallel_region = false;
    withdraw(job);
}

void Pool::post(Job& job, int threads) {
    int to_wake;
    {
        std::lock_guard<std::mutex> lock(mutex_);
        while (workers_ < threads - 1) {
            pthread_t thread;
            if (pthread_create(&thread, nullptr, &worker_main, this) != 0) break;  // fewer, then
            pthread_detach(thread);
            ++workers_;
        }
        // Spinning workers on a processor that others wait for would only be in the way.
        static const int cpus = affinity_cpus();
        spin_ = workers_ < cpus ? kSpin : std::chrono::microseconds(0);
        job.link = jobs_;
        jobs_ = &job;
        posted_.fetch_add(1, std::memory_order_release);
        to_wake = sleeping_ < job.wanted ? sleeping_ : job.wanted;
    }
    for (; to_wake > 0; --to_wake) wake_.notify_one();
}

// Takes the job off the list and waits until no worker is inside it: then it may be destroyed.
void Pool::withdraw(Job& job) {
    std::chrono::microseconds spin;
    {
        std::lock_guard<std::mutex> lock(mutex_);
        for (Job** p = &jobs_; *p; p = &(*p)->link) {
            if (*p == &job) {
                *p = job.link;
                break;
            }
        }
        spin = spin_;
    }
    const auto alone = [&job] { return job.helpers.load() == 0; };
    if (spin_until(spin, alone)) return;
    std::unique_lock<std::mutex> lock(mutex_);
    callers_waiting_.fetch_add(1);
    finished_.wait(lock, alone);
    callers_waiting_.fetch_sub(1);
}

Job* Pool::take() {
    for (Job* job = jobs_; job; job = job->link) {
        if (job->helpers.load(std::memory_order_relaxed) < job->wanted && job->open()) {
            job->helpers.fetch_add(1, std::memory_order_relaxed);
            return job;
        }
    }
    return nullptr;
}

void Pool::work() {
    StepAside aside;
    std::unique_lock<std::mutex> lock(mutex_);
    const int number = ++started_;
    for (;;) {
        const uint64_t seen = posted_.load(std::memory_order_relaxed);
        if (Job* job = take()) {
            lock.unlock();
            aside.from(job->cpu);
            job->run(number);
            // The caller may destroy the job as soon as `helpers` is 0: nothing of it is touched after.
            const bool last = job->helpers.fetch_sub(1) == 1;
            if (last && callers_waiting_.load() > 0) {
                lock.lock();
                finished_.notify_all();
            } else {
                lock.lock();
            }
            continue;
        }
        const auto spin = spin_;
        const auto news = [&] { return posted_.load(std::memory_order_acquire) != seen; };
        lock.unlock();
        const bool found = spin_until(spin, news);
        lock.lock();
        if (found) continue;
        ++sleeping_;
        wake_.wait(lock, news);
        --sleeping_;
    }
}

void* Pool::worker_main(void* self) {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, nullptr);  // signals are for the program's own threads
    FlushDenormals flush;
    inside_parallel_region = true;
    static_cast<Pool*>(self)->work();
    return nullptr;
}

void start_pool() {
    make_pool();
    pthread_atfork([] { pool->before_fork(); }, [] { pool->after_fork_in_parent(); }, &make_pool);
}

void run_serially(int64_t n, int64_t grain, dl_range_fn fn, void* ctx) {
    for (int64_t begin = 0; begin < n; begin += grain)
        fn(ctx, begin, n - begin < grain ? n : begin + grain);
}

// A thread's scratch memory. Slots grow and stay, up to a bound: a block above it lives only until the
// slot is asked for something smaller again.
class Scratch {
 public:
    ~Scratch() {
        for (Slot& slot : slots_) free(slot.p);
    }
    void* get(size_t bytes, int slot_number) {
        Slot& slot = slots_[slot_number];
        if (bytes == 0) bytes = 1;  // null means out of memory, nothing else
        if (bytes <= slot.bytes && (slot.bytes <= kKeep || bytes > kKeep) && !kExact) return slot.p;
        free(slot.p);
        slot.bytes = kExact || bytes > kKeep ? bytes : (bytes + kStep - 1) / kStep * kStep;
        slot.p = aligned_allocate(slot.bytes);
        if (!slot.p) slot.bytes = 0;
        return slot.p;
    }

 private:
    struct Slot {
        void* p = nullptr;
        size_t bytes = 0;
    };
    static constexpr size_t kKeep = size_t(64) << 20;
    static constexpr size_t kStep = size_t(64) << 10;
#if defined(__SANITIZE_ADDRESS__)
    static constexpr bool kExact =
        true;  // a fresh block of just that size, so that overruns are seen
#else
    static constexpr bool kExact = false;
#endif
    Slot slots_[DL_SCRATCH_SLOTS];
};

}  // namespace
}  // namespace deeplite::cpu

extern "C" {

void dl_parallel_for(int64_t n, int64_t grain, dl_range_fn fn, void* ctx) {
    using namespace deeplite::cpu;
    if (n <= 0) return;
    if (grain < 1) grain = 1;
    if (inside_parallel_region) return run_serially(n, grain, fn, ctx);
    FlushDenormals flush;
    const int threads = dl_num_threads();
    const int64_t chunks = (n - 1) / grain + 1;
    if (threads == 1 || chunks == 1) return run_serially(n, grain, fn, ctx);
    std::call_once(pool_once, &start_pool);
    Job job(fn, ctx, n, grain, chunks, int(chunks < threads ? chunks : threads));
    pool->run(job, threads);
}

int dl_num_threads(void) {
    using namespace deeplite::cpu;
    const int n = thread_count.load(std::memory_order_relaxed);
    if (n > 0) return n;
    int expected = 0;  // whoever asks first decides, unless dl_set_num_threads comes between
    thread_count.compare_exchange_strong(expected, default_threads());
    return thread_count.load();
}

void dl_set_num_threads(int n) {
    deeplite::cpu::thread_count.store(n < 1 ? 1 : n > 1024 ? 1024 : n);
}

void* dl_scratch(size_t bytes, int slot) {
    static thread_local deeplite::cpu::Scratch scratch;
    return slot < 0 || slot >= DL_SCRATCH_SLOTS ? nullptr : scratch.get(bytes, slot);
}
}
