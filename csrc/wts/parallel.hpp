// Independent tasks on as many threads as pay.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace pywts {

// Runs `work(next)` on as many threads as pay for so many values; each takes tasks from `next` until there are none.
// Rethrows the first exception, which stops the others at their next task.
template <class Work>
void in_parallel(std::uint64_t values, std::size_t tasks, const Work& work) {
  constexpr std::uint64_t kPerThread = std::uint64_t{1} << 20;  // values that make another thread pay
  constexpr std::uint64_t kMostThreads = 8;
  std::atomic<std::size_t> next{0};
  std::exception_ptr thrown;
  std::mutex mutex;
  const auto guarded = [&] {
    try {
      work(next);
    } catch (...) {
      const std::lock_guard<std::mutex> lock(mutex);
      if (thrown == nullptr) thrown = std::current_exception();
      next = tasks;
    }
  };
  const std::uint64_t cores = std::max(1u, std::thread::hardware_concurrency());
  const std::uint64_t count = std::min({cores, kMostThreads, values / kPerThread + 1, std::uint64_t{tasks}});
  std::vector<std::thread> others;
  try {
    while (others.size() + 1 < count) others.emplace_back(guarded);
  } catch (...) {  // no thread is to be had, or no memory for one: then with fewer
  }
  guarded();
  for (std::thread& other : others) other.join();
  if (thrown != nullptr) std::rethrow_exception(thrown);
}

}  // namespace pywts
