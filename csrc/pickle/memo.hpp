// What PUT, BINPUT, LONG_BINPUT and MEMOIZE remember. An index is any number; only indices close to the number of
// entries, as every real pickle has them, lie in an array. The rest lie in a tree, which nobody can make slow.
#pragma once

#include <cstdint>
#include <map>

#include "pickle/machine.hpp"
#include "pickle/pool.hpp"

namespace pywts::pickle {

class Memo {
 public:
  std::uint64_t entries() const noexcept { return entries_; }
  std::uint64_t scattered() const noexcept { return far_.size(); }

  Id get(std::uint64_t index) const noexcept {
    if (index < near_.size() && near_[index] != kNone) return near_[index];
    if (far_.empty()) return kNone;
    const auto found = far_.find(index);
    return found == far_.end() ? kNone : found->second;
  }

  void put(std::uint64_t index, Id id) {
    if (index == near_.size() && far_.empty()) {  // as every pickler numbers them
      near_.push(id);
      ++entries_;
      return;
    }
    if (index >= near_.size() && index <= 2 * entries_ + 256) reach(index);
    const bool fresh = get(index) == kNone;
    if (index < near_.size()) {
      near_[index] = id;
    } else {
      far_[index] = id;
    }
    if (fresh) ++entries_;
  }

 private:
  void reach(std::uint64_t index) {
    const std::size_t missing = static_cast<std::size_t>(index) + 1 - near_.size();
    Id* slots = near_.extend(missing);
    for (std::size_t i = 0; i < missing; ++i) slots[i] = kNone;
  }

  Pool<Id> near_;
  std::map<std::uint64_t, Id> far_;
  std::uint64_t entries_ = 0;
};

}  // namespace pywts::pickle
