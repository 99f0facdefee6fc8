#include "archive_bindings.hpp"

#include <string_view>
#include <utility>

#include "wts/checksum.hpp"
#include "wts/file.hpp"
#include "zip/directory.hpp"

namespace py = pybind11;

namespace pywts {
namespace {

py::str decode(std::string_view name) {
  auto text = py::reinterpret_steal<py::str>(
      PyUnicode_DecodeUTF8(name.data(), static_cast<Py_ssize_t>(name.size()), "surrogateescape"));
  if (!text) throw py::error_already_set();
  return text;
}

// The bytes of a name; null for one with surrogates that stand for no byte, which is no name of a file.
py::bytes encode(const py::str& name) {
  auto raw = py::reinterpret_steal<py::bytes>(PyUnicode_AsEncodedString(name.ptr(), "utf-8", "surrogateescape"));
  if (!raw) PyErr_Clear();
  return raw;
}

class ArchiveDirectory {
 public:
  ArchiveDirectory(py::bytes records, std::uint64_t at, std::uint64_t count)
      : records_(std::move(records)), directory_(records_, at, count) {}

  const zip::Directory& directory() const noexcept { return directory_; }

  py::list names() const { return names_ending({}); }

  // The names that end so.
  py::list names_ending(std::string_view end) const {
    py::list result;
    for (const zip::Entry& entry : directory_.entries()) {
      const std::string_view name = entry.name;
      if (name.size() >= end.size() && name.substr(name.size() - end.size()) == end) result.append(decode(name));
    }
    return result;
  }

  // (name, packed bytes, size, CRC32) of every entry.
  py::list records() const {
    py::list result(directory_.entries().size());
    std::size_t i = 0;
    for (const zip::Entry& entry : directory_.entries()) {
      result[i++] = py::make_tuple(decode(entry.name), entry.packed, entry.size, entry.crc);
    }
    return result;
  }

  // (offset of its data in the file, packed bytes, size, CRC32, whether it is stored), or None.
  py::object find(const py::str& name, int file) const {
    const py::bytes raw = encode(name);
    if (!raw) return py::none();
    const zip::Entry* entry = directory_.find(std::string_view(raw));
    if (entry == nullptr) return py::none();
    zip::Window window(file);
    return py::make_tuple(directory_.locate(*entry, window), entry->packed, entry->size, entry->crc,
                          entry->method == zip::kStored);
  }

  // The name of the file below a folder that torch would take for another one, or None.
  py::object in_other_case(const py::str& folder) const {
    const py::bytes raw = encode(folder);
    const zip::Entry* entry = raw ? directory_.in_other_case(std::string_view(raw)) : nullptr;
    return entry == nullptr ? py::object(py::none()) : py::object(decode(entry->name));
  }

  // The names of the stored entries whose headers are as they should be; find() says what is wrong with another.
  py::list sound(int file) const {
    py::list result;
    zip::Window window(file);
    for (const zip::Entry& entry : directory_.entries()) {
      if (entry.method != zip::kStored) continue;
      try {
        directory_.locate(entry, window);
        result.append(decode(entry.name));
      } catch (const zip::Error&) {
      }
    }
    return result;
  }

 private:
  py::bytes records_;  // the names point into it
  zip::Directory directory_;
};

}  // namespace

const zip::Directory& directory_of(py::handle archive) { return archive.cast<const ArchiveDirectory&>().directory(); }

void bind_archive(py::module_& module) {
  static PyObject* const zip_error = PyErr_NewException("pywts._core.ArchiveError", PyExc_Exception, nullptr);
  module.attr("ArchiveError") = py::handle(zip_error);
  py::register_exception_translator([](std::exception_ptr pointer) {
    try {
      if (pointer) std::rethrow_exception(pointer);
    } catch (const zip::Error& error) {
      PyErr_SetObject(zip_error,
                      py::make_tuple(error.message, decode(error.name), decode(error.other), error.damaged).ptr());
    }
  });
  // Of `size` bytes of a file, read in portions; a signal is heeded meanwhile.
  module.def("file_crc32", [](int file, std::uint64_t offset, std::uint64_t size) {
    Storage span;
    span.file = file;
    span.file_offset = offset;
    span.size = size;
    unsigned reads = 0;
    const py::gil_scoped_release released;
    return crc32(span, 0, size, [&reads] {
      if (++reads % 64 != 0) return;
      const py::gil_scoped_acquire gil;
      if (PyErr_CheckSignals() != 0) throw py::error_already_set();
    });
  });
  module.def("crc32", [](const py::bytes& data) {
    const std::string_view bytes = data;
    return crc32(0, bytes.data(), bytes.size());
  });
  py::class_<ArchiveDirectory>(module, "ArchiveDirectory")
      .def(py::init<py::bytes, std::uint64_t, std::uint64_t>())
      .def("names", &ArchiveDirectory::names)
      .def("names_ending", &ArchiveDirectory::names_ending)
      .def("records", &ArchiveDirectory::records)
      .def("find", &ArchiveDirectory::find)
      .def("in_other_case", &ArchiveDirectory::in_other_case)
      .def("sound", &ArchiveDirectory::sound);
}

}  // namespace pywts
