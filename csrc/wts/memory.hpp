// Hints to the kernel about memory.
#pragma once

#include <cstddef>

namespace pywts {

// Asks for huge pages for memory that was just allocated and not yet touched: each page fault then brings 2 MiB, not
// 4 KiB. Nothing happens where the system has none, or where the memory is small.
void prepare_fresh(void* memory, std::size_t size) noexcept;

}  // namespace pywts
