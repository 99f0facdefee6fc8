// What the two units of reader_units_*.cpp have in common.
#pragma once

#include <cstddef>
#include <string>

std::size_t values_by_other_unit(const std::string& path);
const void* kernels_of_other_unit();
