// Encodes tensors one after another into aligned blocks and hands the blocks to a sink, on a second thread where the
// work is large enough. Which file it is, how it becomes the destination and what happens on failure is the caller's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>

#include "wts/view.hpp"

namespace pywts {

// Takes the next `size` bytes of the text, all of them or throws.
using Sink = std::function<void(const char* text, std::size_t size)>;

// A sink that writes to a file descriptor, retrying short writes and EINTR. Throws Error{sink_write, -1, errno}.
Sink file_sink(int file);

// Reserves `size` bytes for a file without changing its size, where the file system can (fallocate, KEEP_SIZE).
// Best effort: true if reserved; false if unsupported or pointless. Throws Error{sink_write, -1, ENOSPC} if the
// file system says that there is no room.
bool reserve(int file, std::uint64_t size);

// Called now and then (at least every 100 ms of work, never more than every few ms) on the thread that calls the
// writer, with the bytes of text produced so far; false asks to stop: the writer throws Error{cancelled}.
using Tick = std::function<bool(std::uint64_t bytes)>;

class Writer {
 public:
  // overlapped: a second thread runs the sink while this one encodes. If no thread can be had, it goes on without.
  Writer(Sink sink, bool overlapped, Tick tick);
  ~Writer();  // joins the thread; what was not flushed is dropped
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  void text(std::string_view text);                          // raw bytes: the count, a name, a line's end
  void values(const Storage& storage, const View& view);     // 9 bytes a value
  void flush();                                              // everything so far has reached the sink
  std::uint64_t bytes() const noexcept;                      // of text so far

 private:
  class Pipe;
  std::unique_ptr<Pipe> pipe_;
};

}  // namespace pywts
