#include "wts/writer.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>
#if defined(__linux__)
#include <sys/vfs.h>
#endif

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <climits>
#include <condition_variable>
#include <cstring>
#include <exception>
#include <mutex>
#include <new>
#include <system_error>
#include <thread>
#include <utility>

#include "wts/error.hpp"
#include "wts/gather.hpp"
#include "wts/kernel.hpp"

namespace pywts {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kBlock = std::size_t{1} << 20;  // a write, at a multiple of this offset
constexpr std::size_t kSlack = std::size_t{4} << 10;  // room for the value that crosses a block's end
constexpr std::size_t kBlocks = 4;                    // in flight when overlapped
constexpr std::size_t kPage = std::size_t{4} << 10;
constexpr auto kTickEvery = std::chrono::milliseconds(50);

}  // namespace

// The blocks and who has them: the caller's thread fills one after another, the sink empties them in the same order.
class Writer::Pipe {
 public:
  Pipe(Sink sink, bool overlapped, Tick tick)
      : sink_(std::move(sink)),
        tick_(std::move(tick)),
        encode_(kernel().encode),
        overlapped_(overlapped),
        gatherer_([this] { pulse(); }),
        memory_(static_cast<char*>(
            ::operator new ((overlapped ? kBlocks : 1) * (kBlock + kSlack), std::align_val_t{kPage}))),
        block_(memory_.get()) {}

  ~Pipe() {
    if (!thread_.joinable()) return;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      stopping_ = true;
    }
    filled_.notify_one();
    thread_.join();
  }

  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;

  // Runs the work of one call; a failure, of this thread or the other, is the last thing that happens.
  template <class Work>
  void run(const Work& work) {
    if (failure_) std::rethrow_exception(failure_);
    try {
      work();
    } catch (...) {
      failure_ = std::current_exception();
      stopping_ = true;
      throw;
    }
  }

  void text(std::string_view text) {
    while (!text.empty()) {
      const std::size_t part = std::min(text.size(), room_ - used_);
      std::memcpy(block_ + used_, text.data(), part);
      text.remove_prefix(part);
      used_ += part;
      if (used_ >= room_) next_block();
    }
  }

  void values(const Storage& storage, const View& view) {
    gatherer_.gather(storage, view, [this](const std::uint32_t* bits, std::size_t count) { encode(bits, count); });
  }

  void flush() {
    hand_over(used_);
    while (!await_drained()) pulse();
  }

  std::uint64_t bytes() const noexcept { return handed_bytes_ + used_; }

 private:
  struct Free {
    void operator()(char* memory) const noexcept { ::operator delete (memory, std::align_val_t{kPage}); }
  };

  void encode(const std::uint32_t* bits, std::size_t count) {
    while (count > 0) {
      // The last value may cross the block's end, into the slack.
      const std::size_t part = std::min(count, (room_ - used_ + kTextPerValue - 1) / kTextPerValue);
      encode_(bits, part, block_ + used_);
      bits += part;
      count -= part;
      used_ += part * kTextPerValue;
      if (used_ >= room_) next_block();
    }
  }

  void pulse() {
    const Clock::time_point now = Clock::now();
    if (now - last_tick_ < kTickEvery) return;
    last_tick_ = now;
    if (tick_ && !tick_(bytes())) throw Error(Code::cancelled);
  }

  char* block(std::uint64_t number) const noexcept { return memory_.get() + number % kBlocks * (kBlock + kSlack); }

  // The block is full: to the sink with it; what crossed its end begins the next one.
  void next_block() {
    const char* carried = block_ + room_;
    const std::size_t size = used_ - room_;
    if (overlapped_ && !thread_.joinable()) start();
    hand_over(room_);
    std::memmove(block_, carried, size);
    used_ = size;
    pulse();
  }

  // Gives the first `size` bytes of the block to the sink and takes a free block.
  void hand_over(std::size_t size) {
    used_ = 0;
    handed_bytes_ += size;
    room_ = kBlock - handed_bytes_ % kBlock;
    if (size == 0) return;
    if (!thread_.joinable()) {
      drain(block_, size, [this] { pulse(); });
      return;
    }
    sizes_[handed_.load(std::memory_order_relaxed) % kBlocks] = size;
    bool asleep = false;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      ++handed_;
      asleep = asleep_;
    }
    if (asleep) filled_.notify_one();
    block_ = block(handed_.load(std::memory_order_relaxed));
    while (!await([this] { return handed_ - emptied_ < kBlocks; })) pulse();
  }

  void start() {
    try {
      thread_ = std::thread([this] { empty_blocks(); });
    } catch (const std::system_error&) {
      overlapped_ = false;
    }
  }

  // Offers the sink the bytes until it has taken all; `idle` is called where it takes none.
  template <class Idle>
  void drain(const char* text, std::size_t size, const Idle& idle) {
    while (size > 0) {
      const std::size_t taken = sink_(text, size);
      text += taken;
      size -= taken;
      if (taken == 0) idle();
    }
  }

  // Waits until `ready`, up to a tick's time; false if it is not yet. Throws what the sink threw.
  template <class Ready>
  bool await(const Ready& ready) {
    std::unique_lock<std::mutex> lock(mutex_);
    emptied_one_.wait_for(lock, kTickEvery, [&] { return sink_failure_ || ready(); });
    if (sink_failure_) std::rethrow_exception(sink_failure_);
    return ready();
  }

  bool await_drained() {
    return !thread_.joinable() || await([this] { return handed_ == emptied_; });
  }

  // The second thread.
  void empty_blocks() noexcept {
    try {
      for (;;) {
        {
          std::unique_lock<std::mutex> lock(mutex_);
          asleep_ = true;
          filled_.wait(lock, [this] { return stopping_ || handed_ != emptied_; });
          asleep_ = false;
          if (stopping_) return;
        }
        const std::uint64_t number = emptied_;
        drain(block(number), sizes_[number % kBlocks], [this] {
          if (stopping_) throw Error(Code::cancelled);
        });
        {
          const std::lock_guard<std::mutex> lock(mutex_);
          ++emptied_;
        }
        emptied_one_.notify_one();
      }
    } catch (...) {
      {
        const std::lock_guard<std::mutex> lock(mutex_);
        sink_failure_ = std::current_exception();
      }
      emptied_one_.notify_one();
    }
  }

  Sink sink_;
  Tick tick_;
  void (*encode_)(const std::uint32_t* bits, std::size_t count, char* text) noexcept;
  bool overlapped_;
  Gatherer gatherer_;
  std::unique_ptr<char, Free> memory_;

  char* block_;                     // that is being filled
  std::size_t used_ = 0;            // its bytes so far; more than `room_` only within encode()
  std::size_t room_ = kBlock;       // until the next multiple of kBlock
  std::uint64_t handed_bytes_ = 0;  // of all blocks before it
  Clock::time_point last_tick_ = Clock::now();
  std::exception_ptr failure_;

  std::thread thread_;
  std::array<std::size_t, kBlocks> sizes_{};  // of the blocks that the sink has not emptied
  std::mutex mutex_;
  std::condition_variable filled_;
  std::condition_variable emptied_one_;
  std::atomic<std::uint64_t> handed_ = 0;   // blocks
  std::atomic<std::uint64_t> emptied_ = 0;  // blocks
  std::atomic<bool> stopping_ = false;
  bool asleep_ = false;
  std::exception_ptr sink_failure_;
};

Writer::Writer(Sink sink, bool overlapped, Tick tick)
    : pipe_(std::make_unique<Pipe>(std::move(sink), overlapped, std::move(tick))) {}

Writer::~Writer() = default;

void Writer::text(std::string_view text) {
  pipe_->run([&] { pipe_->text(text); });
}

void Writer::values(const Storage& storage, const View& view) {
  pipe_->run([&] { pipe_->values(storage, view); });
}

void Writer::flush() {
  pipe_->run([&] { pipe_->flush(); });
}

std::uint64_t Writer::bytes() const noexcept { return pipe_->bytes(); }

// ---------------------------------------------------------------------------------------------------- files

namespace {

// Whether a write may wait for someone else for as long as he likes.
bool may_wait(int file) {
  struct stat status = {};
  if (::fstat(file, &status) != 0) return false;
  return S_ISFIFO(status.st_mode) || S_ISSOCK(status.st_mode) || ::isatty(file) == 1;
}

// Waits for a moment; false if nothing can be written yet.
bool writable(int file) {
  pollfd waited = {file, POLLOUT, 0};
  return ::poll(&waited, 1, 50) > 0;
}

}  // namespace

Sink file_sink(int file) {
  // A pipe that is ready takes PIPE_BUF bytes without waiting; more might wait forever.
  const bool careful = may_wait(file);
  return [file, careful](const char* text, std::size_t size) -> std::size_t {
    if (careful && !writable(file)) return 0;
    const ssize_t written = ::write(file, text, careful ? std::min<std::size_t>(size, PIPE_BUF) : size);
    if (written > 0) return static_cast<std::size_t>(written);
    if (written < 0 && errno == EINTR) return 0;
    if (written < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
      writable(file);
      return 0;
    }
    throw Error(Code::sink_write, -1, written < 0 ? errno : EIO);
  };
}

bool reserve([[maybe_unused]] int file, [[maybe_unused]] std::uint64_t size) {
#if defined(__linux__)
  constexpr std::uint64_t kWorthIt = std::uint64_t{1} << 20;
  constexpr auto kTmpfs = 0x01021994;
  if (size < kWorthIt) return false;
  struct statfs system = {};
  if (::fstatfs(file, &system) == 0 && system.f_type == kTmpfs) return false;
  while (::fallocate(file, FALLOC_FL_KEEP_SIZE, 0, static_cast<off_t>(size)) != 0) {
    if (errno == ENOSPC || errno == EFBIG || errno == EDQUOT) throw Error(Code::sink_write, -1, errno);
    if (errno != EINTR) return false;
  }
  return true;
#else
  return false;
#endif
}

}  // namespace pywts
