// The machine's stack: objects, and marks between them that nothing is popped across.
#pragma once

#include <cstddef>

#include "pickle/input.hpp"
#include "pickle/machine.hpp"
#include "pickle/pool.hpp"

namespace pywts::pickle {

class Stack {
 public:
  explicit Stack(const Input& input) : input_(input) {}

  std::size_t size() const noexcept { return objects_.size(); }
  std::size_t fence() const noexcept { return fence_; }  // where the last mark is
  Id operator[](std::size_t index) const noexcept { return objects_[index]; }

  // The objects from index `from` to the top; valid until the next push.
  Span<Id> above(std::size_t from) const noexcept { return {objects_.data() + from, objects_.size() - from}; }
  void drop(std::size_t from) noexcept { objects_.truncate(from); }

  void push(Id id) { objects_.push(id); }
  Id top() const {
    require(1);
    return objects_[objects_.size() - 1];
  }
  Id pop() {
    require(1);
    const Id id = objects_.back();
    objects_.pop();
    return id;
  }

  // The index of the first of the topmost `count` objects, all above the last mark.
  std::size_t topmost(std::size_t count) const {
    require(count);
    return objects_.size() - count;
  }
  void require(std::size_t count) const {
    if (objects_.size() - fence_ < count) fail();
  }
  [[noreturn]] void fail() const {
    input_.fail(marks_.size() != 0 ? "a mark is in the way on the stack" : "the stack is empty");
  }

  void push_mark() {
    fence_ = objects_.size();
    marks_.push(fence_);
  }
  // The index of the first object above it.
  std::size_t pop_mark() {
    if (marks_.size() == 0) input_.fail("there is no mark on the stack");
    const std::size_t mark = marks_.back();
    marks_.pop();
    fence_ = marks_.size() == 0 ? 0 : marks_.back();
    return mark;
  }
  bool mark_on_top() const noexcept { return marks_.size() != 0 && fence_ == objects_.size(); }

 private:
  const Input& input_;
  Pool<Id> objects_;
  Pool<std::size_t> marks_;
  std::size_t fence_ = 0;
};

}  // namespace pywts::pickle
