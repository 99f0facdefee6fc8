// Counts cycles of the calling thread.
#pragma once

#include <time.h>
#include <unistd.h>

#include <cstdint>
#include <cstring>

#if defined(__linux__)
#include <linux/perf_event.h>
#include <sys/syscall.h>
#endif
#if defined(__x86_64__)
#include <x86intrin.h>
#endif

// The core's own cycles in user code, where the system lets a program count them (perf_event_open). Else, on x86, the
// time that the thread ran in cycles of the time stamp counter, which keeps one frequency while the core changes its
// own. Elsewhere a timer's tick is no cycle of anything, and nothing is counted.
class CycleCounter {
 public:
  CycleCounter() noexcept {
#if defined(__linux__)
    perf_event_attr wanted;
    std::memset(&wanted, 0, sizeof wanted);
    wanted.size = sizeof wanted;
    wanted.type = PERF_TYPE_HARDWARE;
    wanted.config = PERF_COUNT_HW_CPU_CYCLES;
    wanted.pinned = 1;  // always on the processor: no share of the time that would have to be scaled
    wanted.exclude_kernel = 1;
    wanted.exclude_hv = 1;
    event_ = static_cast<int>(::syscall(SYS_perf_event_open, &wanted, 0, -1, -1, 0));
    if (event_ >= 0 && now() > 0) return;
    if (event_ >= 0) ::close(event_);  // others hold the counter
    event_ = -1;
#endif
#if defined(__x86_64__)
    const Moment start = moment();
    Moment end = start;
    while (end.seconds < start.seconds + 0.02) end = moment();
    frequency_ = (end.ticks - start.ticks) / (end.seconds - start.seconds);
#endif
  }

  ~CycleCounter() {
    if (event_ >= 0) ::close(event_);
  }

  CycleCounter(const CycleCounter&) = delete;
  CycleCounter& operator=(const CycleCounter&) = delete;

  // What is counted; "none" if nothing is.
  const char* unit() const noexcept { return event_ >= 0 ? "core cycle" : frequency_ > 0 ? "TSC cycle" : "none"; }

  // Only differences mean something. Always 0 if nothing is counted.
  double now() const noexcept {
    if (event_ < 0) return seconds(CLOCK_THREAD_CPUTIME_ID) * frequency_;
    std::uint64_t count = 0;
    return ::read(event_, &count, sizeof count) == sizeof count ? static_cast<double>(count) : 0;
  }

 private:
  static double seconds(clockid_t clock) noexcept {
    timespec time{};
    ::clock_gettime(clock, &time);
    return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
  }

#if defined(__x86_64__)
  struct Moment {
    double seconds;
    double ticks;
  };

  // Both clocks at once: within a microsecond, or another try.
  static Moment moment() noexcept {
    for (;;) {
      const double before = seconds(CLOCK_MONOTONIC);
      const auto ticks = static_cast<double>(__rdtsc());
      if (seconds(CLOCK_MONOTONIC) < before + 1e-6) return {before, ticks};
    }
  }
#endif

  int event_ = -1;
  double frequency_ = 0;
};
