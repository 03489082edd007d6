// SmallVec: a vector whose first N elements live inside it. For the handful of tensors an op touches.
#pragma once
#include <initializer_list>
#include <memory>
#include <utility>

namespace deeplite {

template <class T, int N>
class SmallVec {
 public:
    SmallVec() = default;
    SmallVec(std::initializer_list<T> v) {
        reserve(int(v.size()));
        for (const T& x : v) push_back(x);
    }
    explicit SmallVec(int n) { resize(n); }
    SmallVec(SmallVec&&) noexcept = default;
    SmallVec& operator=(SmallVec&&) noexcept = default;
    SmallVec(const SmallVec& o) {
        reserve(o.n_);
        for (const T& x : o) push_back(x);
    }
    SmallVec& operator=(const SmallVec& o) { return *this = SmallVec(o); }

    int size() const { return n_; }
    bool empty() const { return n_ == 0; }
    T* data() { return heap_ ? heap_.get() : inline_; }
    const T* data() const { return heap_ ? heap_.get() : inline_; }
    T& operator[](int i) { return data()[i]; }
    const T& operator[](int i) const { return data()[i]; }
    T* begin() { return data(); }
    T* end() { return data() + n_; }
    const T* begin() const { return data(); }
    const T* end() const { return data() + n_; }
    T& back() { return data()[n_ - 1]; }

    void push_back(T x) {
        if (n_ == cap_) reserve(cap_ * 2);
        data()[n_++] = std::move(x);
    }
    void resize(int n) {
        reserve(n);
        for (int i = n; i < n_; ++i) data()[i] = T();
        n_ = n;
    }
    void clear() { resize(0); }
    void reserve(int n) {
        if (n <= cap_) return;
        std::unique_ptr<T[]> grown(new T[size_t(n)]);
        std::move(begin(), end(), grown.get());
        heap_ = std::move(grown);
        cap_ = n;
    }

 private:
    T inline_[N] = {};
    std::unique_ptr<T[]> heap_;
    int n_ = 0, cap_ = N;
};

}  // namespace deeplite
