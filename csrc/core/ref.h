// Intrusive reference counting: one word, no control block, and raw pointers can become owners again.
#pragma once
#include <atomic>
#include <cstdint>
#include <utility>

namespace deeplite {

struct RefCounted {
    std::atomic<int64_t> refs{0};
};

// Found by overload for types that need another way to die (Node's iterative deletion).
template <class T>
inline void destroy(T* p) {
    delete p;
}

template <class T>
class Ref {
 public:
    Ref() = default;
    Ref(std::nullptr_t) {}
    explicit Ref(T* p) : p_(p) { acquire(); }
    Ref(const Ref& o) : p_(o.p_) { acquire(); }
    Ref(Ref&& o) noexcept : p_(std::exchange(o.p_, nullptr)) {}
    template <class U>
    Ref(const Ref<U>& o) : p_(o.get()) {
        acquire();
    }
    Ref& operator=(Ref o) noexcept {
        std::swap(p_, o.p_);
        return *this;
    }
    ~Ref() { release(); }

    T* get() const { return p_; }
    T* operator->() const { return p_; }
    T& operator*() const { return *p_; }
    explicit operator bool() const { return p_ != nullptr; }
    bool operator==(const Ref& o) const { return p_ == o.p_; }
    void reset() { *this = Ref(); }
    // Gives the pointer up without dropping its count; adopt() takes such a pointer back.
    T* leak() { return std::exchange(p_, nullptr); }
    static Ref adopt(T* p) {
        Ref r;
        r.p_ = p;
        return r;
    }
    // Takes a share unless the count has already fallen to zero (the object is being destroyed).
    static Ref try_lock(T* p) {
        if (!p) return {};
        int64_t n = p->refs.load(std::memory_order_relaxed);
        while (n > 0)
            if (p->refs.compare_exchange_weak(n, n + 1, std::memory_order_acq_rel)) return adopt(p);
        return {};
    }

 private:
    void acquire() {
        if (p_) p_->refs.fetch_add(1, std::memory_order_relaxed);
    }
    void release() {
        if (p_ && p_->refs.fetch_sub(1, std::memory_order_acq_rel) == 1) destroy(p_);
    }
    T* p_ = nullptr;
};

template <class T, class... Args>
Ref<T> make_ref(Args&&... args) {
    return Ref<T>(new T(std::forward<Args>(args)...));
}

}  // namespace deeplite
