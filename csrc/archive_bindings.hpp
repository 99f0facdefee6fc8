// The part of the bindings for zip archives.
#pragma once

#include <pybind11/pybind11.h>

#include "zip/directory.hpp"

namespace pywts {

// Of an ArchiveDirectory, which must outlive what uses it; TypeError for anything else.
const zip::Directory& directory_of(pybind11::handle archive);

void bind_archive(pybind11::module_& module);

}  // namespace pywts
