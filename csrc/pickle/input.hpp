// The bytes of a pickle, taken as CPython takes them, frames included.
//
// A frame says only how far CPython reads ahead. Everything in it is read like everything else, but a pickle whose
// frames lie is read differently from memory (CPython reads on) and from a file (what is left of a frame is dropped
// when an argument does not fit it). No pickler writes such a thing; it is refused, so that nothing can hide in it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "pickle/machine.hpp"

namespace pywts::pickle {

class Input {
 public:
  explicit Input(std::string_view data) : data_(data), readable_(data.size()) {}

  std::uint64_t at() const noexcept { return at_; }                // of the next byte
  std::uint64_t opcode_at() const noexcept { return opcode_at_; }  // of the opcode being executed
  [[noreturn]] void fail(std::string message) const { throw Error(std::move(message), opcode_at_); }

  unsigned char next_opcode() {
    opcode_at_ = at_;
    if (at_ == readable_) leave_frame();
    return static_cast<unsigned char>(data_[at_++]);
  }

  std::string_view take(std::uint64_t count) {
    if (count > readable_ - at_) reach(count);
    const std::string_view taken(data_.data() + at_, count);
    at_ += count;
    return taken;
  }

  // Little-endian.
  template <unsigned bytes>
  std::uint64_t take_unsigned() {
    const std::string_view taken = take(bytes);
    std::uint64_t value = 0;
    for (unsigned i = 0; i < bytes; ++i) value |= std::uint64_t{static_cast<unsigned char>(taken[i])} << 8 * i;
    return value;
  }

  // Without its newline.
  std::string_view take_line();
  // As CPython takes bytes objects: the one argument that may begin in a frame and end after it.
  std::string_view take_across_frames(std::uint64_t count);

  void open_frame();
  void stop() const;  // nothing may be left of a frame

 private:
  void leave_frame();
  void reach(std::uint64_t count);

  std::string_view data_;
  std::uint64_t at_ = 0;
  std::uint64_t opcode_at_ = 0;
  std::uint64_t frame_end_ = 0;  // of the last frame
  std::uint64_t readable_;       // what an argument may reach: the end of the frame around it, else of the data
};

}  // namespace pywts::pickle
