#include "pickle/input.hpp"

#include <cstring>

namespace pywts::pickle {

void Input::leave_frame() {
  if (at_ == data_.size()) fail("the pickle ends without a STOP");
  readable_ = data_.size();
}

void Input::reach(std::uint64_t count) {
  if (count > data_.size() - at_) fail("the pickle is cut short");
  if (at_ < frame_end_) fail("a frame ends inside an argument, where readers disagree");
  readable_ = data_.size();
}

std::string_view Input::take_across_frames(std::uint64_t count) {
  if (count > readable_ - at_ && count <= data_.size() - at_) readable_ = data_.size();
  return take(count);
}

std::string_view Input::take_line() {
  const void* found = at_ == data_.size() ? nullptr : std::memchr(data_.data() + at_, '\n', data_.size() - at_);
  if (found == nullptr) fail("the pickle is cut short");
  const auto end = static_cast<std::uint64_t>(static_cast<const char*>(found) - data_.data());
  const std::string_view line = take(end + 1 - at_);
  return line.substr(0, line.size() - 1);
}

void Input::open_frame() {
  const std::uint64_t size = take_unsigned<8>();
  if (size > data_.size() - at_) fail("a frame is longer than the pickle");
  if (at_ >= frame_end_) {
    frame_end_ = readable_ = at_ + size;
  } else if (size > frame_end_ - at_) {
    fail("a frame reaches out of the frame around it, where readers disagree");
  }
}

void Input::stop() const {
  if (at_ < frame_end_) fail("the pickle stops inside a frame, where readers disagree on what follows");
}

}  // namespace pywts::pickle
