// A growing array of plain values. It grows by realloc, which moves the pages of a large block instead of copying
// them, so that growth never needs the old and the new array at once; and it asks the system for many pages at a time,
// since a fault for every page would cost more than all the rest of reading a pickle.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <new>
#include <type_traits>
#include <utility>

namespace pywts::pickle {

// Maps memory that is about to be written; a mere hint.
void fetch_pages(void* begin, std::size_t bytes) noexcept;

template <class T>
class Pool {
  static_assert(std::is_trivially_copyable_v<T> && std::is_trivially_destructible_v<T>);

 public:
  Pool() = default;
  Pool(Pool&& other) noexcept { swap(other); }
  Pool& operator=(Pool&& other) noexcept {
    swap(other);
    return *this;
  }
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;
  ~Pool() { std::free(data_); }

  std::size_t size() const noexcept { return size_; }
  T* data() noexcept { return data_; }
  const T* data() const noexcept { return data_; }
  T& operator[](std::size_t index) noexcept { return data_[index]; }
  const T& operator[](std::size_t index) const noexcept { return data_[index]; }
  T& back() noexcept { return data_[size_ - 1]; }

  void push(T value) {
    if (size_ == ready_) prepare(1);
    data_[size_++] = value;
  }
  void pop() noexcept { --size_; }
  void truncate(std::size_t size) noexcept { size_ = size; }

  // Makes room for `count` values at the end and returns where it begins; they are to be written by the caller.
  T* extend(std::size_t count) {
    if (count > ready_ - size_) prepare(count);
    size_ += count;
    return data_ + (size_ - count);
  }

 private:
  static constexpr std::size_t kStep = (std::size_t{1} << 18) / sizeof(T);  // values that are made ready at a time

  [[gnu::noinline]] void prepare(std::size_t count) {
    if (count > capacity_ - size_) grow(count);
    const std::size_t before = ready_;
    const std::size_t wanted = size_ + count;
    ready_ = capacity_ - wanted > kStep ? wanted + kStep : capacity_;
    if (wanted > kStep) fetch_pages(data_ + before, (ready_ - before) * sizeof(T));
  }
  void grow(std::size_t count) {
    constexpr std::size_t most = std::numeric_limits<std::size_t>::max() / sizeof(T) / 4;
    if (count > most || capacity_ > most) throw std::bad_alloc();
    std::size_t wanted = capacity_ * 2 > size_ + count ? capacity_ * 2 : size_ + count;
    if (wanted < 64) wanted = 64;
    void* grown = std::realloc(static_cast<void*>(data_), wanted * sizeof(T));
    if (grown == nullptr) throw std::bad_alloc();
    data_ = static_cast<T*>(grown);
    capacity_ = wanted;
  }
  void swap(Pool& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    std::swap(ready_, other.ready_);
    std::swap(capacity_, other.capacity_);
  }

  T* data_ = nullptr;
  std::size_t size_ = 0;
  std::size_t ready_ = 0;  // values that may be written without another thought
  std::size_t capacity_ = 0;
};

}  // namespace pywts::pickle
