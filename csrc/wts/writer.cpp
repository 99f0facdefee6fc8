#include "wts/writer.hpp"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>
#if defined(__linux__)
#include <sched.h>
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
#include <deque>
#include <exception>
#include <mutex>
#include <new>
#include <optional>
#include <set>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "wts/checksum.hpp"
#include "wts/error.hpp"
#include "wts/file.hpp"
#include "wts/gather.hpp"
#include "wts/kernel.hpp"
#include "wts/memory.hpp"
#if PYWTS_X86
#include <emmintrin.h>
#endif

namespace pywts {
namespace {

using Clock = std::chrono::steady_clock;
using Encode = decltype(Kernel::encode);

constexpr std::size_t kBlock = std::size_t{1} << 20;  // a write, at a multiple of this offset
constexpr std::size_t kPage = std::size_t{4} << 10;
constexpr std::size_t kDrafts = 3;
constexpr auto kTickEvery = std::chrono::milliseconds(50);
// Of waiting, before a thread sleeps: some blocks' time. Until then it yields: a wake-up would come late.
constexpr auto kAwake = std::chrono::microseconds(500);

// Whether a second thread can run while this one does.
bool other_processor() noexcept {
#if defined(__linux__)
  cpu_set_t allowed;  // cheap; the standard library reads a file
  return ::sched_getaffinity(0, sizeof allowed, &allowed) != 0 || CPU_COUNT(&allowed) > 1;
#else
  return std::thread::hardware_concurrency() != 1;
#endif
}

// Moves a thread that was just started away from this one's processor. The system may have put it there, for some other
// thread ran for a moment when it was started, and leaves it for milliseconds: a small export's whole time.
void move_away([[maybe_unused]] std::thread& thread) noexcept {
#if defined(__linux__) && defined(__GLIBC__)
  cpu_set_t allowed;
  const int here = ::sched_getcpu();
  if (here < 0 || ::sched_getaffinity(0, sizeof allowed, &allowed) != 0) return;
  cpu_set_t elsewhere = allowed;
  CPU_CLR(static_cast<unsigned>(here), &elsewhere);
  const pthread_t handle = thread.native_handle();
  if (::pthread_setaffinity_np(handle, sizeof elsewhere, &elsewhere) == 0) {
    ::pthread_setaffinity_np(handle, sizeof allowed, &allowed);
  }
#endif
}

// Memory in huge pages, where the system has them: 512 page faults take six times as long as one that clears 2 MiB.
class HugePages {
 public:
  explicit HugePages(std::size_t size) : memory_(static_cast<std::byte*>(::operator new(rounded(size), kAlignment))) {
    prepare_fresh(memory_.get(), rounded(size));
  }
  std::byte* get() const noexcept { return memory_.get(); }

 private:
  static constexpr std::size_t kHugePage = std::size_t{2} << 20;
  static constexpr std::align_val_t kAlignment{kHugePage};
  static std::size_t rounded(std::size_t size) noexcept { return (size + kHugePage - 1) / kHugePage * kHugePage; }
  struct Free {
    void operator()(std::byte* memory) const noexcept { ::operator delete(memory, kAlignment); }
  };
  std::unique_ptr<std::byte, Free> memory_;
};

// Copies values past the caches where it can: the memory was last read by the other core, and to take its lines back
// from there takes longer than to go without.
void copy_past_caches(std::byte* to, const std::uint32_t* bits, std::size_t count) noexcept {
#if PYWTS_X86 && defined(__SSE2__)
  constexpr std::size_t kStep = sizeof(__m128i) / sizeof *bits;
  const std::size_t head = std::min(count, (-reinterpret_cast<std::uintptr_t>(to) % sizeof(__m128i)) / sizeof *bits);
  std::memcpy(to, bits, head * sizeof *bits);
  to += head * sizeof *bits;
  bits += head;
  count -= head;
  for (; count >= kStep; count -= kStep, bits += kStep, to += sizeof(__m128i)) {
    _mm_stream_si128(reinterpret_cast<__m128i*>(to), _mm_loadu_si128(reinterpret_cast<const __m128i*>(bits)));
  }
  _mm_sfence();
#endif
  std::memcpy(to, bits, count * sizeof *bits);
}

// What a block will hold, not yet encoded: text, values, and ranges of tensors that are still to be read.
class Draft {
 public:
  enum class Kind : std::uint8_t { text, values, range, check };
  struct Part {
    Kind kind;
    std::size_t size;                  // of its text; of values, their number; of bytes to be checked, theirs
    const void* data = nullptr;        // text, or values' bits; valid until the draft changes
    const Storage* storage = nullptr;  // of a range, or of what is to be checked
    const View* view = nullptr;
    std::uint64_t begin = 0;  // a range's first byte in the text of all of the tensor's values; of what is to be
                              // checked, the first byte in the span
    std::size_t line = 0;     // the tensor's number
  };

  explicit Draft(std::byte* data) : data_(data) {}

  void text(const char* text, std::size_t size) {
    const std::byte* const end = data_ + used_;
    std::memcpy(data_ + used_, text, size);
    used_ += size;
    if (!parts_.empty() && parts_.back().kind == Kind::text &&
        static_cast<const std::byte*>(parts_.back().data) + parts_.back().size == end) {
      parts_.back().size += size;
    } else {
      parts_.push_back({Kind::text, size, end});
    }
  }

  void values(const std::uint32_t* bits, std::size_t count) {
    if (parts_.empty() || parts_.back().kind != Kind::values) {
      used_ = (used_ + alignof(std::uint32_t) - 1) / alignof(std::uint32_t) * alignof(std::uint32_t);
      parts_.push_back({Kind::values, 0, data_ + used_});
    }
    copy_past_caches(data_ + used_, bits, count);
    used_ += count * sizeof *bits;
    parts_.back().size += count;
  }

  // Text that stays where it is until the end of the call.
  void borrowed(const char* text, std::size_t size) {
    parts_.push_back({Kind::text, size, text});
    borrows_ = true;
  }

  void later(const Part& part) {  // a range, or bytes to be checked
    parts_.push_back(part);
    borrows_ = true;
  }

  const std::vector<Part>& parts() const noexcept { return parts_; }
  bool borrows() const noexcept { return borrows_; }

  void clear() noexcept {
    parts_.clear();
    used_ = 0;
    borrows_ = false;
  }

 private:
  std::byte* data_;  // a block of it is enough: a value takes less than its text, by more than its alignment
  std::size_t used_ = 0;
  std::vector<Part> parts_;
  bool borrows_ = false;
};

// Whether the tensor is all of what its storage lies in, in order.
bool is_whole(const Storage& storage, const View& view) {
  return storage.file_offset == storage.checked.file_offset && storage.size == storage.checked.size &&
         view.offset == 0 && numel(view) * info(view.dtype).size == storage.size;
}

// Counts the bytes of some of a whole tensor's values while they are read: what they add to its checksum.
class PartSum {
 public:
  // `cut`: the first value was counted before.
  PartSum(const Storage& storage, const View& view, std::uint64_t first, std::uint64_t count, bool cut)
      : skipped_(cut ? info(view.dtype).size : 0), after_(storage.size - (first + count) * info(view.dtype).size) {}

  void operator()(const std::byte* bytes, std::size_t size) noexcept {
    const std::size_t skipped = std::exchange(skipped_, 0);
    sum_ = crc32(sum_, bytes + skipped, size - skipped);
  }

  std::uint32_t added() const noexcept { return crc32_part(sum_, after_); }

 private:
  std::size_t skipped_;
  std::uint64_t after_;
  std::uint32_t sum_ = 0;
};

// One of the two threads: what it works with and on.
struct Worker {
  explicit Worker(Pulse pulse)
      : pulse(std::move(pulse)),
        gatherer(this->pulse, Gatherer::kBudget, memory.get()),
        drafting(this->pulse, Gatherer::kBudget, memory.get() + Gatherer::kMemory) {}

  // Of one block, with room on either side for the rest of a value that it shares with its neighbour.
  char* text() const noexcept { return reinterpret_cast<char*>(memory.get() + 2 * Gatherer::kMemory + kPage); }

  Pulse pulse;
  HugePages memory{2 * Gatherer::kMemory + kPage + kBlock + kPage};
  Gatherer gatherer;  // of its jobs
  Gatherer drafting;  // of what it drafts: jobs are done in the midst of that, and would overwrite what is being taken
  std::optional<std::uint64_t> job;
  std::size_t line = 0;
};

}  // namespace

// The text is made block by block. On one thread, the caller's: encoded as it comes, and given to the sink. On two,
// each block is a job: whoever is free takes the next one, encodes it in memory of its own and, when the blocks before
// it are written, gives it to the sink itself. So one thread encodes while the other writes, and what is written is
// what the writing core has in its cache: text that moves between cores costs more than encoding it, much more where
// they share no cache. The caller drafts the jobs, and when it may not draft more, it takes jobs as well. A draft only
// says which values are to be read where they lie one after another; others are gathered by the caller.
class Writer::Pipe {
 public:
  Pipe(Sink sink, bool overlapped, Tick tick)
      : sink_(std::move(sink)),
        tick_(std::move(tick)),
        encode_(kernel().encode),
        overlapped_(overlapped),
        caller_([this] { pulse(); }) {}

  ~Pipe() { stop(); }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;

  // Does the work of one call. A failure, of this thread or the other, is the last thing that happens.
  template <class Work>
  void run(const Work& work) {
    if (failure_) std::rethrow_exception(failure_);
    try {
      work();
      if (shared()) settle();
      return;
    } catch (const Stopped&) {  // by the helper's failure
    } catch (...) {
      failure_ = std::current_exception();
      failed_line_ = caller_.line;
    }
    stop();
    // Of two failures, the one of the earlier block: as on one thread.
    if (helper_failure_ && (!failure_ || *helper_->job < caller_.job.value_or(drafting_))) {
      failure_ = helper_failure_;
      failed_line_ = helper_->line;
    }
    std::rethrow_exception(failure_);
  }

  void lines(const Line* lines, std::size_t count) {
    std::uint64_t size = 0;
    for (std::size_t i = 0; i < count; ++i) {
      size += lines[i].before.size() + numel(lines[i].view) * kTextPerValue + lines[i].after.size();
    }
    if (overlapped_ && !shared() && used_ + size >= 2 * kBlock) share();
    counted_ = std::vector<Counted>(count);
    for (std::size_t i = 0; i < count; ++i) {
      text(lines[i].before, count > 1);
      values(lines[i].storage, lines[i].view, i, count > 1);
      text(lines[i].after, count > 1);
    }
    while (!unchecked_.empty()) check(next_check(), caller_);
    if (shared()) settle();
    for (std::size_t i = 0; i < count; ++i) {
      if (!counted_[i].counts) continue;
      caller_.line = i;
      compare(lines[i].storage.checked, counted_[i].sum);
    }
  }

  // `later`: more follows in this call, which keeps the text alive.
  void text(std::string_view text, bool later = false) {
    while (!text.empty()) {
      const std::size_t part = std::min(text.size(), room_ - used_);
      if (shared() && later) {
        draft().borrowed(text.data(), part);
        borrowed_ = true;
      } else if (shared()) {
        draft().text(text.data(), part);
      } else {
        std::memcpy(caller_.text() + used_, text.data(), part);
      }
      text.remove_prefix(part);
      advance(part);
    }
  }

  void flush() {
    if (used_ > 0) complete();
    if (!shared()) return;
    while (help()) continue;
    await([this] { return turn_ == drafting_; }, true);
  }

  std::uint64_t bytes() const noexcept { return completed_ + used_; }
  std::size_t failed_line() const noexcept { return failed_line_; }

 private:
  struct Stopped {};  // thrown where the other thread has failed or wants an end

  // ------------------------------------------------------------------------------- the caller's thread

  bool shared() const noexcept { return thread_.joinable(); }
  Draft& draft() noexcept { return drafts_[drafting_ % kDrafts]; }

  static void compare(const CheckedSpan& checked, std::uint32_t found) {
    if (found != checked.crc32) throw Error(Code::checksum, found);
  }

  // All that a tensor's storage lies in is to be counted, unless that was so before.
  void check_apart(const Storage& storage, std::size_t line) {
    const CheckedSpan& checked = storage.checked;
    if (!checked_apart_.emplace(storage.file, checked.file_offset).second) return;
    counted_[line].counts = true;
    if (checked.size != 0)
      unchecked_.push_back(
          {Draft::Kind::check, static_cast<std::size_t>(checked.size), nullptr, &storage, nullptr, 0, line});
  }

  // A piece of it, with each block that is drafted: so either thread does it, and no block waits long.
  Draft::Part next_check() {
    Draft::Part& rest = unchecked_.front();
    Draft::Part piece = rest;
    piece.size = std::min(rest.size, kBlock);
    rest.begin += piece.size;
    rest.size -= piece.size;
    if (rest.size == 0) unchecked_.pop_front();
    return piece;
  }

  // Whole blocks of text at least as large are drafted for what is read: some of what is to be checked goes along.
  void draft_checks() {
    for (std::size_t size = 0; size < kBlock && !unchecked_.empty();) {
      const Draft::Part piece = next_check();
      draft().later(piece);
      size += piece.size;
      borrowed_ = true;
    }
  }

  // `later`: more lines follow in this call. Of one tensor alone only whole blocks are worth drafting as ranges, since
  // the call must wait for them.
  void values(const Storage& storage, const View& view, std::size_t line, bool later) {
    caller_.line = line;
    std::uint64_t left = numel(view) * kTextPerValue;
    const bool worth_it = later || left >= room_ - used_ + kBlock;
    const bool checked = storage.file >= 0 && storage.checked.crc32 != 0;
    const bool even = (checked || (shared() && worth_it)) && inside(view, storage.size) && contiguous(view);
    counted_[line].whole = checked && even && is_whole(storage, view);
    counted_[line].counts = counted_[line].whole;
    if (checked && !counted_[line].whole) check_apart(storage, line);
    if (!shared() || !worth_it || !even) {
      if (!counted_[line].whole) return caller_.drafting.gather(storage, view, take_);
      return gather(caller_.drafting, line, storage, view, 0, numel(view), false, take_);
    }
    borrowed_ = true;
    for (std::uint64_t begin = 0; left > 0;) {
      const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(left, room_ - used_));
      draft().later({Draft::Kind::range, size, nullptr, &storage, &view, begin, line});
      begin += size;
      left -= size;
      advance(size);
    }
  }

  void take(const std::uint32_t* bits, std::size_t count) {
    while (count > 0) {
      const std::size_t part = std::min(count, (room_ - used_) / kTextPerValue);
      if (part == 0) {  // the value crosses the block's end
        std::array<char, kTextPerValue> value;
        encode_(bits, 1, value.data());
        text({value.data(), value.size()});
        ++bits;
        --count;
        continue;
      }
      if (shared()) {
        draft().values(bits, part);
      } else {
        encode_(bits, part, caller_.text() + used_);
      }
      bits += part;
      count -= part;
      advance(part * kTextPerValue);
    }
  }

  void advance(std::size_t size) {
    used_ += size;
    if (used_ == room_) complete();
  }

  // The block is full, or as full as it gets: to the sink with it.
  void complete() {
    const std::size_t size = used_;
    completed_ += size;
    used_ = 0;
    room_ = kBlock - completed_ % kBlock;
    if (shared()) {
      draft_checks();
      signal([this] {
        drafted_[drafting_ % kDrafts] = true;
        ready_ = ++drafting_;
      });
      const std::atomic<bool>& drafted = drafted_[drafting_ % kDrafts];
      while (drafted && help()) continue;
      await([&] { return !drafted; }, true);
    } else {
      drain(caller_.text(), size, true);
      if (overlapped_ && size == kBlock) share();
    }
    pulse();
  }

  // Starts the second thread; what the block has so far becomes a draft. If no thread can be had, goes on without.
  void share() {
    if (!other_processor()) {
      overlapped_ = false;
      return;
    }
    draft_memory_.emplace((kDrafts + 1) * kBlock);
    for (std::size_t i = 0; i <= kDrafts; ++i) drafts_.emplace_back(draft_memory_->get() + i * kBlock);
    helper_.emplace([this] {
      if (stopping_) throw Stopped();
    });
    try {
      thread_ = std::thread([this] { assist(); });
    } catch (const std::system_error&) {
      overlapped_ = false;
      return;
    }
    move_away(thread_);
    if (used_ > 0) draft().text(caller_.text(), used_);
  }

  // At the end of a call nothing may still have to be read: its ranges have been, and what has been drafted of the next
  // block is turned into values.
  void settle() {
    if (!borrowed_) return;
    if (draft().borrows()) {
      Draft& unsettled = drafts_[kDrafts];
      std::swap(draft(), unsettled);
      used_ = 0;
      for (const Draft::Part& part : unsettled.parts()) {
        if (part.kind == Draft::Kind::text) {
          text({static_cast<const char*>(part.data), part.size});
        } else if (part.kind == Draft::Kind::values) {
          take(static_cast<const std::uint32_t*>(part.data), part.size);
        } else {
          settle(part);
        }
      }
      unsettled.clear();
    }
    while (help()) continue;
    for (const std::atomic<bool>& drafted : drafted_) {
      await([&] { return !drafted; }, true);
    }
    borrowed_ = false;
  }

  void settle(const Draft::Part& range) {
    caller_.line = range.line;
    std::uint64_t first = range.begin / kTextPerValue;
    const std::size_t begun = range.begin % kTextPerValue;
    if (begun != 0) {  // the block before it has the value's first digits
      caller_.drafting.gather(*range.storage, *range.view, first++, 1, [&](const std::uint32_t* bits, std::size_t) {
        std::array<char, kTextPerValue> value;
        encode_(bits, 1, value.data());
        text({value.data() + begun, value.size() - begun});
      });
    }
    const std::uint64_t end = (range.begin + range.size) / kTextPerValue;
    gather(caller_.drafting, range.line, *range.storage, *range.view, first, end - first, false, take_);
  }

  // Does the next job, if there is one.
  bool help() {
    const std::size_t line = caller_.line;
    if (!take_job(caller_)) return false;
    execute(caller_, true);
    caller_.job.reset();
    caller_.line = line;  // which may be in the midst of its drafting
    pulse();
    return true;
  }

  void pulse() {
    const Clock::time_point now = Clock::now();
    if (now - last_tick_ < kTickEvery) return;
    last_tick_ = now;
    if (tick_ && !tick_(written_)) throw Error(Code::cancelled);
  }

  void stop() noexcept {
    if (!thread_.joinable()) return;
    signal([this] { stopping_ = true; });
    thread_.join();
  }

  // ------------------------------------------------------------------------------- the second thread

  void assist() noexcept {
    try {
      while (wait([this] { return taken_ < ready_; }, false)) {
        if (take_job(*helper_)) execute(*helper_, false);
      }
    } catch (const Stopped&) {
    } catch (...) {
      signal([this] {
        helper_failure_ = std::current_exception();
        stopping_ = true;
      });
    }
  }

  // ------------------------------------------------------------------------------- both threads

  bool take_job(Worker& worker) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (taken_ == ready_) return false;
    worker.job = taken_++;
    return true;
  }

  void execute(Worker& worker, bool caller) {
    const std::uint64_t job = *worker.job;
    Draft& draft = drafts_[job % kDrafts];
    const std::size_t size = encode(draft, worker);
    draft.clear();
    signal([&] { drafted_[job % kDrafts] = false; });
    await([&] { return turn_ == job; }, caller);
    drain(worker.text(), size, caller);
    signal([&] { turn_ = job + 1; });
  }

  std::size_t encode(const Draft& draft, Worker& worker) {
    char* to = worker.text();
    for (const Draft::Part& part : draft.parts()) {
      if (part.kind == Draft::Kind::text) {
        std::memcpy(to, part.data, part.size);
        to += part.size;
      } else if (part.kind == Draft::Kind::values) {
        encode_(static_cast<const std::uint32_t*>(part.data), part.size, to);
        to += part.size * kTextPerValue;
      } else if (part.kind == Draft::Kind::check) {
        check(part, worker);
      } else {
        encode_range(part, to, worker);
        to += part.size;
      }
    }
    return static_cast<std::size_t>(to - worker.text());
  }

  void check(const Draft::Part& part, Worker& worker) {
    worker.line = part.line;
    const CheckedSpan& checked = part.storage->checked;
    Storage span = *part.storage;
    span.file_offset = checked.file_offset;
    span.size = checked.size;
    const std::uint32_t sum = crc32(span, part.begin, part.size, worker.pulse);
    counted_[part.line].sum.fetch_xor(crc32_part(sum, checked.size - part.begin - part.size),
                                      std::memory_order_relaxed);
  }

  // Encodes also the rest of the values that the range cuts: it does so only at a block's ends, where there is room.
  void encode_range(const Draft::Part& range, char* to, Worker& worker) {
    worker.line = range.line;
    const std::uint64_t first = range.begin / kTextPerValue;
    const std::uint64_t end = (range.begin + range.size + kTextPerValue - 1) / kTextPerValue;
    const std::size_t begun = range.begin % kTextPerValue;
    to -= begun;
    gather(worker.gatherer, range.line, *range.storage, *range.view, first, end - first, begun != 0,
           [&](const std::uint32_t* bits, std::size_t count) {
             encode_(bits, count, to);
             to += count * kTextPerValue;
           });
  }

  // Values of a line that is contiguous; `cut`: another range has the first one too, and counts it.
  void gather(Gatherer& gatherer, std::size_t line, const Storage& storage, const View& view, std::uint64_t first,
              std::uint64_t count, bool cut, const TakeBits& take) {
    Counted& counted = counted_[line];
    if (!counted.whole) return gatherer.gather(storage, view, first, count, take);
    PartSum sum(storage, view, first, count, cut);
    gatherer.gather(storage, view, first, count, take,
                    [&](const std::byte* bytes, std::size_t size) { sum(bytes, size); });
    counted.sum.fetch_xor(sum.added(), std::memory_order_relaxed);
  }

  // Offers the sink the bytes until it has taken all.
  void drain(const char* text, std::size_t size, bool caller) {
    while (size > 0) {
      if (stopping_) throw Stopped();
      const std::size_t taken = sink_(text, size);
      text += taken;
      size -= taken;
      written_ += taken;
      if (taken == 0 && caller) pulse();
    }
  }

  // Waits until `ready`; false if the other thread has failed or wants an end.
  template <class Ready>
  bool wait(const Ready& ready, bool caller) {
    if (ready()) return true;
    const Clock::time_point start = Clock::now();
    while (!ready()) {
      if (stopping_) return false;
      if (Clock::now() - start < kAwake) {
        std::this_thread::yield();  // it may be for this processor that the other thread waits
        continue;
      }
      {
        std::unique_lock<std::mutex> lock(mutex_);
        ++sleepers_;
        const auto enough = [&] { return stopping_ || ready(); };
        if (caller) {
          changed_.wait_for(lock, kTickEvery, enough);
        } else {
          changed_.wait(lock, enough);
        }
        --sleepers_;
      }
      if (caller) pulse();
    }
    return true;
  }

  template <class Ready>
  void await(const Ready& ready, bool caller) {
    if (!wait(ready, caller)) throw Stopped();
  }

  // Changes what the other thread may be waiting for.
  template <class Change>
  void signal(const Change& change) {
    bool asleep = false;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      change();
      asleep = sleepers_ > 0;
    }
    if (asleep) changed_.notify_all();
  }

  Sink sink_;
  Tick tick_;
  Encode encode_;
  bool overlapped_;

  // The caller's.
  Worker caller_;
  TakeBits take_ = [this](const std::uint32_t* bits, std::size_t count) { take(bits, count); };
  std::uint64_t completed_ = 0;  // bytes of the blocks before the one that is being filled
  std::size_t used_ = 0;         // bytes in that one
  std::size_t room_ = kBlock;    // its size, until the next multiple of kBlock
  bool borrowed_ = false;        // drafts refer to what the caller keeps alive only during this call
  std::set<std::pair<int, std::uint64_t>> checked_apart_;  // files and offsets
  std::deque<Draft::Part> unchecked_;                      // of them, what is still to be counted
  Clock::time_point last_tick_ = Clock::now();
  std::exception_ptr failure_;
  std::size_t failed_line_ = 0;

  // The second thread and what is its.
  std::thread thread_;
  std::optional<Worker> helper_;

  // Of each line of the call, whether bytes are counted for it, and the checksum so far.
  struct Counted {
    bool counts = false;  // the checksum will be that of the span that the storage lies in
    bool whole = false;   // by what is read of the tensor
    std::atomic<std::uint32_t> sum = 0;
  };

  // Shared: written under the mutex, or handed over with a job.
  std::vector<Counted> counted_;
  std::optional<HugePages> draft_memory_;
  std::vector<Draft> drafts_;                         // and a spare one, for settle()
  std::array<std::atomic<bool>, kDrafts> drafted_{};  // drafts that wait to be encoded
  std::uint64_t drafting_ = 0;                        // the job that the caller drafts
  std::atomic<std::uint64_t> ready_ = 0;              // jobs before this one can be taken
  std::atomic<std::uint64_t> taken_ = 0;              // jobs before this one are
  std::atomic<std::uint64_t> turn_ = 0;               // the job that may be given to the sink
  std::atomic<std::uint64_t> written_ = 0;            // bytes that the sink has taken
  std::atomic<bool> stopping_ = false;
  std::exception_ptr helper_failure_;
  std::mutex mutex_;
  std::condition_variable changed_;
  int sleepers_ = 0;
};

Writer::Writer(Sink sink, bool overlapped, Tick tick)
    : pipe_(std::make_unique<Pipe>(std::move(sink), overlapped, std::move(tick))) {}

Writer::~Writer() = default;

void Writer::text(std::string_view text) {
  pipe_->run([&] { pipe_->text(text); });
}

void Writer::values(const Storage& storage, const View& view) {
  const Line line = {{}, storage, view, {}};
  lines(&line, 1);
}

void Writer::lines(const Line* lines, std::size_t count) {
  pipe_->run([&] { pipe_->lines(lines, count); });
}

void Writer::flush() {
  pipe_->run([&] { pipe_->flush(); });
}

std::uint64_t Writer::bytes() const noexcept { return pipe_->bytes(); }

std::size_t Writer::failed_line() const noexcept { return pipe_->failed_line(); }

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

// Writes what there is room for, without waiting. A pipe that is ready takes PIPE_BUF bytes so; how many more, only the
// system can say, where it has the call.
ssize_t write_without_waiting(int file, const char* text, std::size_t size) {
#if defined(__linux__) && defined(RWF_NOWAIT)
  const iovec part = {const_cast<char*>(text), size};
  const ssize_t written = ::pwritev2(file, &part, 1, -1, RWF_NOWAIT);
  if (written >= 0 || (errno != EOPNOTSUPP && errno != ENOSYS && errno != EINVAL)) return written;
#endif
  return ::write(file, text, std::min<std::size_t>(size, PIPE_BUF));
}

}  // namespace

Sink file_sink(int file) {
  return [file, careful = may_wait(file)](const char* text, std::size_t size) -> std::size_t {
    if (careful && !writable(file)) return 0;
    const ssize_t written = careful ? write_without_waiting(file, text, size) : ::write(file, text, size);
    if (written > 0) return static_cast<std::size_t>(written);
    if (written < 0 && errno == EINTR) return 0;
    if (written < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
      writable(file);
      return 0;
    }
    throw Error(Code::sink_write, -1, written < 0 ? errno : EIO);
  };
}

Sink durable_sink(int file) {
#if defined(__linux__)
  constexpr std::uint64_t kEvery = std::uint64_t{8} << 20;
  const off_t start = std::max<off_t>(::lseek(file, 0, SEEK_CUR), 0);
  return [file, sink = file_sink(file), begun = start, end = start](const char* text, std::size_t size) mutable {
    const std::size_t taken = sink(text, size);
    end += static_cast<off_t>(taken);
    if (end - begun >= static_cast<off_t>(kEvery)) {
      ::sync_file_range(file, begun, end - begun,
                        SYNC_FILE_RANGE_WRITE);  // a hint: whether all is well, fdatasync says
      begun = end;
    }
    return taken;
  };
#else
  return file_sink(file);
#endif
}

bool reserve([[maybe_unused]] int file, [[maybe_unused]] std::uint64_t size) {
#if defined(__linux__)
  constexpr std::uint64_t kWorthIt = std::uint64_t{64} << 10;  // from there on it costs less than it gives
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
