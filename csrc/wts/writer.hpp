// Encodes tensors one after another into aligned blocks and hands the blocks to a sink, with the help of a second
// thread where the work is large enough. Which file it is, how it becomes the destination and what happens on failure
// is the caller's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>
#include <type_traits>
#include <utility>

#include "wts/view.hpp"

namespace pywts {

// Takes the next bytes of the text, at most `size`, and returns how many it took: the rest is offered again. 0 if it
// can take nothing for the moment; it waits some milliseconds, no longer, before it says so. Throws if it fails. A
// callable that returns nothing takes all that it is offered.
class Sink {
 public:
  template <class Take, class = std::enable_if_t<!std::is_same_v<std::decay_t<Take>, Sink>>>
  Sink(Take take) : take_(whole(std::move(take))) {}  // NOLINT(google-explicit-constructor): as std::function
  std::size_t operator()(const char* text, std::size_t size) const { return take_(text, size); }

 private:
  template <class Take>
  static auto whole(Take take) {
    if constexpr (std::is_void_v<std::invoke_result_t<Take&, const char*, std::size_t>>) {
      return [take = std::move(take)](const char* text, std::size_t size) mutable {
        take(text, size);
        return size;
      };
    } else {
      return take;
    }
  }

  std::function<std::size_t(const char* text, std::size_t size)> take_;
};

// A sink that writes to a file descriptor. Throws Error{sink_write, -1, errno}.
Sink file_sink(int file);

// The same for a regular file that will be waited for until it is on the disk: the system is told to begin with that
// while the rest is still being written.
Sink durable_sink(int file);

// Reserves `size` bytes for a file without changing its size, where the file system can (fallocate, KEEP_SIZE).
// Best effort: true if reserved; false if unsupported or pointless. Throws Error{sink_write, -1, ENOSPC} if the
// file system says that there is no room.
bool reserve(int file, std::uint64_t size);

// Called now and then (at least every 100 ms of work, never more than every few ms) on the thread that calls the
// writer, with the bytes that the sink has taken so far; false asks to stop: the writer throws Error{cancelled}.
using Tick = std::function<bool(std::uint64_t bytes)>;

// A tensor with the text before and after its values.
struct Line {
  std::string_view before;
  Storage storage;
  View view;
  std::string_view after;
};

// One thread at a time uses a writer. Once a call has thrown, every later call throws the same, and the sink is called
// no more.
class Writer {
 public:
  // overlapped: a second thread takes its share of the work, so that one encodes while the other runs the sink. The
  // sink is called on either thread, in order, on one at a time. If no thread can be had, the caller's works alone.
  // Throws what kernel() throws.
  Writer(Sink sink, bool overlapped, Tick tick);
  ~Writer();  // waits for the sink's return from the call that it is in, if any; what was not flushed is dropped
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  void text(std::string_view text);                       // raw bytes: the count, a name, a line's end
  void values(const Storage& storage, const View& view);  // 9 bytes a value
  // Many tensors at once: both threads share the work also where each tensor is small. Of a storage whose CRC32 was
  // kept all bytes are counted: while they are read, where a contiguous tensor is the whole of it, else in a pass of
  // their own. Error{checksum, the one found} comes before the call returns; what was written of it so far is no good.
  void lines(const Line* lines, std::size_t count);
  // The number of the tensor, in the call of lines(), whose values could not be had.
  std::size_t failed_line() const noexcept;
  void flush();                          // everything so far has reached the sink
  std::uint64_t bytes() const noexcept;  // of text so far

 private:
  class Pipe;
  std::unique_ptr<Pipe> pipe_;
};

}  // namespace pywts
