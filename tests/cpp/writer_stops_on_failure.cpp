// A sink that fails, a caller who asks to stop, a pipe that nobody reads: the writer says so once the work goes on,
// calls the sink no more, and never waits forever.
#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <functional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "wts/error.hpp"
#include "wts/writer.hpp"

namespace {

using Clock = std::chrono::steady_clock;
using pywts::Code;

constexpr std::size_t kBlock = std::size_t{1} << 20;

int failures = 0;

void expect(bool holds, const char* what) {
  if (holds) return;
  ++failures;
  std::printf("failed: %s\n", what);
}

void expect_error(const std::function<void()>& work, Code code, int system_error, const char* what) {
  try {
    work();
  } catch (const pywts::Error& error) {
    if (error.code == code && error.system_error == system_error) return;
    std::printf("code %d, errno %d: ", static_cast<int>(error.code), error.system_error);
  }
  expect(false, what);
}

void write_blocks(pywts::Writer& writer, int blocks) {
  const std::string text(kBlock, 'x');
  for (int i = 0; i < blocks; ++i) writer.text(text);
  writer.flush();
}

void sink_fails(bool overlapped) {
  for (int last = 0; last < 8; ++last) {
    int calls = 0;
    pywts::Writer writer(
        [&](const char*, std::size_t size) -> std::size_t {
          if (calls++ == last) throw std::runtime_error("full");
          return size;
        },
        overlapped, {});
    for (int again = 0; again < 3; ++again) {
      bool thrown = false;
      try {
        write_blocks(writer, 9);
      } catch (const std::runtime_error& error) {
        thrown = std::string(error.what()) == "full";
      }
      expect(thrown, "a failure of the sink comes out, and stays");
    }
    expect(calls == last + 1, "a sink that has failed is called no more");
  }
}

void source_fails(bool overlapped) {
  std::FILE* held = std::tmpfile();
  expect(::ftruncate(fileno(held), 2000000) == 0, "a file of two million bytes");
  pywts::Storage storage;
  storage.file = fileno(held);
  storage.size = 4000000;
  pywts::View view;
  view.shape = {1000000};
  view.strides = {1};
  pywts::Writer writer([](const char*, std::size_t) {}, overlapped, {});
  expect_error([&] { writer.values(storage, view); }, Code::source_short, 0, "a source that ends early");
  expect_error([&] { writer.flush(); }, Code::source_short, 0, "and cannot be flushed away");
  std::fclose(held);
}

// Of many values that float32 cannot hold, the first is told, whichever thread meets one first.
void values_fail(bool overlapped) {
  for (const std::size_t size : {std::size_t{100}, std::size_t{50000}, std::size_t{900000}}) {
    const std::vector<double> sound(size, 1.5);
    std::vector<double> broken = sound;
    for (std::size_t i = size / 3; i < size; i += 50) broken[i] = -1e300;
    std::vector<pywts::Line> lines(30);
    for (std::size_t i = 0; i < lines.size(); ++i) {
      lines[i].before = "name ";
      lines[i].storage.memory = reinterpret_cast<const std::byte*>((i < 17 ? sound : broken).data());
      lines[i].storage.size = size * sizeof(double);
      lines[i].view.dtype = pywts::Dtype::float64;
      lines[i].view.shape = {static_cast<std::int64_t>(size)};
      lines[i].view.strides = {1};
    }
    pywts::Writer writer([](const char*, std::size_t) {}, overlapped, {});
    try {
      writer.lines(lines.data(), lines.size());
      expect(false, "doubles that float32 cannot hold");
    } catch (const pywts::Error& error) {
      expect(error.code == Code::overflow && error.index == static_cast<std::int64_t>(size / 3),
             "the first such value");
      expect(writer.failed_line() == 17, "the first tensor that has one");
    }
  }
}

void ticks(bool overlapped) {
  std::uint64_t last = 0;
  int ticks = 0;
  const auto caller = std::this_thread::get_id();
  const auto start = Clock::now();
  {
    pywts::Writer writer(
        [](const char*, std::size_t size) {
          std::this_thread::sleep_for(std::chrono::milliseconds(10));
          return size;
        },
        overlapped,
        [&](std::uint64_t bytes) {
          expect(bytes >= last, "ticks tell of growing figures");
          expect(std::this_thread::get_id() == caller, "ticks come on the caller's thread");
          last = bytes;
          return ++ticks < 1000;
        });
    write_blocks(writer, 30);
  }
  const auto passed = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - start).count();
  expect(ticks >= 2 && ticks <= passed / 50 + 1, "a tick about every 50 ms");

  std::atomic<int> calls = 0;
  pywts::Writer writer(
      [&](const char*, std::size_t size) {
        ++calls;
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
        return size;
      },
      overlapped, [](std::uint64_t) { return false; });
  expect_error([&] { write_blocks(writer, 1000); }, Code::cancelled, 0, "a tick asks to stop");
  expect_error([&] { writer.text("x"); }, Code::cancelled, 0, "a stopped writer writes no more");
  expect(calls < 100, "and stops at once");
}

// A sink that can take nothing does not keep ticks away, nor the end.
void nothing_taken(bool overlapped) {
  const auto start = Clock::now();
  {
    pywts::Writer writer(
        [](const char*, std::size_t) -> std::size_t {
          std::this_thread::sleep_for(std::chrono::milliseconds(5));
          return 0;
        },
        overlapped, [&](std::uint64_t) { return Clock::now() - start < std::chrono::milliseconds(200); });
    expect_error([&] { write_blocks(writer, 20); }, Code::cancelled, 0, "stopped while nothing is taken");
  }
  expect(Clock::now() - start < std::chrono::seconds(5), "in good time");
}

void unflushed(bool overlapped) {
  std::atomic<std::size_t> taken = 0;
  {
    pywts::Writer writer([&](const char*, std::size_t size) { taken += size; }, overlapped, {});
    writer.text(std::string(3 * kBlock + 5, 'x'));
  }
  expect(taken <= 3 * kBlock, "what is not flushed is dropped");
}

struct Pipe {
  Pipe() { expect(::pipe(ends) == 0, "a pipe"); }
  ~Pipe() {
    ::close(ends[0]);
    ::close(ends[1]);
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  int ends[2] = {-1, -1};
};

void pipes(bool overlapped, bool blocking) {
  Pipe pipe;
  if (!blocking) expect(::fcntl(pipe.ends[1], F_SETFL, O_NONBLOCK) == 0, "a pipe that does not block");
  std::size_t got = 0;
  std::thread reader([&] {
    std::vector<char> buffer(70000);
    for (ssize_t n = 0; got < 5 * kBlock && (n = ::read(pipe.ends[0], buffer.data(), buffer.size())) > 0;) {
      got += static_cast<std::size_t>(n);
      if (got < 300000) std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
  });
  {
    pywts::Writer writer(pywts::file_sink(pipe.ends[1]), overlapped, {});
    write_blocks(writer, 5);
  }
  reader.join();
  expect(got == 5 * kBlock, "a slow reader gets all of it");

  const auto start = Clock::now();
  {
    pywts::Writer writer(pywts::file_sink(pipe.ends[1]), overlapped,
                         [&](std::uint64_t) { return Clock::now() - start < std::chrono::milliseconds(200); });
    expect_error([&] { write_blocks(writer, 20); }, Code::cancelled, 0, "stopped while nobody reads");
  }
  expect(Clock::now() - start < std::chrono::seconds(5), "in good time");

  ::close(pipe.ends[0]);
  pipe.ends[0] = -1;
  pywts::Writer writer(pywts::file_sink(pipe.ends[1]), overlapped, {});
  expect_error([&] { write_blocks(writer, 20); }, Code::sink_write, EPIPE, "a reader who has gone");
}

void full_device(bool overlapped) {
  const int full = ::open("/dev/full", O_WRONLY | O_CLOEXEC);
  if (full < 0) return;
  pywts::Writer writer(pywts::file_sink(full), overlapped, {});
  expect_error([&] { write_blocks(writer, 20); }, Code::sink_write, ENOSPC, "a full device");
  ::close(full);
}

}  // namespace

int main() {
  std::signal(SIGPIPE, SIG_IGN);
  for (const bool overlapped : {false, true}) {
    sink_fails(overlapped);
    source_fails(overlapped);
    values_fail(overlapped);
    ticks(overlapped);
    nothing_taken(overlapped);
    unflushed(overlapped);
    pipes(overlapped, true);
    pipes(overlapped, false);
    full_device(overlapped);
  }
  return failures == 0 ? 0 : 1;
}
