// The bindings, with the *_bindings.cpp beside it the only code that knows Python: check what is handed over, release
// the GIL, call the core.
#include <pybind11/pybind11.h>

#include <atomic>
#include <cstring>
#include <exception>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "archive_bindings.hpp"
#include "describing.hpp"
#include "pickle_bindings.hpp"
#include "reader_bindings.hpp"
#include "view_arguments.hpp"
#include "wts/checksum.hpp"
#include "wts/dtype.hpp"
#include "wts/error.hpp"
#include "wts/gather.hpp"
#include "wts/kernel.hpp"
#include "wts/memory.hpp"
#include "wts/writer.hpp"

namespace py = pybind11;

using pywts::file_storage;
using pywts::memory_storage;
using pywts::view_of;

namespace {

// ---------------------------------------------------------------------------------------------------- errors

const char* code_name(pywts::Code code) noexcept {
  switch (code) {
    case pywts::Code::overflow:
      return "overflow";
    case pywts::Code::source_read:
      return "source_read";
    case pywts::Code::source_short:
      return "source_short";
    case pywts::Code::checksum:
      return "checksum";
    case pywts::Code::sink_write:
      return "sink_write";
    case pywts::Code::out_of_bounds:
      return "out_of_bounds";
    case pywts::Code::unknown_kernel:
      return "unknown_kernel";
    case pywts::Code::missing_kernel:
      return "missing_kernel";
    case pywts::Code::cancelled:
      return "cancelled";
  }
  return "unknown";
}

// ---------------------------------------------------------------------------------------------------- writer

// A Writer for Python. Its callbacks run on the thread that called it, without the GIL, and take it. What they raise
// goes past the core, which would keep it for as long as the writer lives: an exception holds the frames that it went
// through, and those hold the writer.
class PyWriter {
 public:
  PyWriter(int file, bool overlapped, py::object progress, bool checksum, bool durable)
      : progress_(std::move(progress)),
        writer_(std::make_unique<pywts::Writer>(
            summed(durable ? pywts::durable_sink(file) : pywts::file_sink(file), checksum), overlapped, ticker())) {}
  PyWriter(py::object write, py::object progress, bool checksum)
      : write_(std::move(write)),
        progress_(std::move(progress)),
        writer_(std::make_unique<pywts::Writer>(
            summed([this](const char* text, std::size_t size) { called([&] { write_stream(text, size); }); }, checksum),
            false, ticker())) {}
  ~PyWriter() {
    const py::gil_scoped_release released;  // the second thread may be waited for
    writer_.reset();
  }
  PyWriter(const PyWriter&) = delete;
  PyWriter& operator=(const PyWriter&) = delete;

  void text(const py::bytes& text) {
    const std::string_view view = text;
    run([&] { writer_->text(view); });
  }

  // Each line is (text before its values, file, address, file offset, size, dtype, swapped, half, offset, shape,
  // strides, checked): the storage is a file's where that is a descriptor, else memory; checked is None or the (file
  // offset, size, CRC32) of the span that the storage is or lies in.
  void lines(const py::list& list) {
    const py::tuple given(list);  // holds the lines, and their texts, whatever becomes of the list
    std::vector<pywts::Line> lines;
    lines.reserve(given.size());
    for (const py::handle item : given) {
      const auto line = item.cast<py::tuple>();
      const auto file = line[1].cast<int>();
      const auto size = line[4].cast<std::uint64_t>();
      lines.push_back({line[0].cast<std::string_view>(),
                       file >= 0 ? file_storage(file, line[3].cast<std::uint64_t>(), size)
                                 : memory_storage(line[2].cast<std::uintptr_t>(), size),
                       view_of(line[5].cast<std::string_view>(), line[6].cast<bool>(), line[7].cast<bool>(),
                               line[8].cast<std::int64_t>(), line[9].cast<py::tuple>(), line[10].cast<py::tuple>()),
                       "\n"});
      if (line[11].is_none()) continue;
      const auto checked = line[11].cast<py::tuple>();
      lines.back().storage.checked = {checked[0].cast<std::uint64_t>(), checked[1].cast<std::uint64_t>(),
                                      checked[2].cast<std::uint32_t>()};
    }
    run([&] { writer_->lines(lines.data(), lines.size()); });
  }

  std::size_t failed_line() const noexcept { return writer_->failed_line(); }

  void flush() {
    run([&] { writer_->flush(); });
  }

  std::uint64_t bytes() const noexcept { return writer_->bytes(); }
  std::uint32_t crc32() const noexcept { return crc32_; }

 private:
  struct Raised {};  // by a callback: raised_ is it
  struct Busy {
    std::atomic<bool>& busy;
    ~Busy() { busy = false; }
  };

  // One call at a time, also where a callback or another thread would make another.
  template <class Work>
  void run(const Work& work) {
    if (busy_.exchange(true)) throw std::runtime_error("the writer is in the midst of another call");
    const Busy until_the_end{busy_};
    try {
      const py::gil_scoped_release released;
      work();
    } catch (const Raised&) {
      if (raised_ == nullptr) throw std::runtime_error("the writer has failed before");
      std::rethrow_exception(std::exchange(raised_, nullptr));
    } catch (...) {  // the second thread's failure, which came first
      raised_ = nullptr;
      throw;
    }
  }

  template <class Work>
  void called(const Work& work) {
    const py::gil_scoped_acquire gil;
    try {
      work();
    } catch (py::error_already_set&) {
      raised_ = std::current_exception();
      throw Raised();
    }
  }

  // A sink that keeps the checksum of what another one takes.
  pywts::Sink summed(pywts::Sink sink, bool wanted) {
    if (!wanted) return sink;
    return [this, sink = std::move(sink)](const char* text, std::size_t size) {
      const std::uint32_t whole = pywts::crc32(crc32_, text, size);  // first: what the sink does takes the cache
      const std::size_t taken = sink(text, size);
      crc32_ = taken == size ? whole : pywts::crc32(crc32_, text, taken);
      return taken;
    };
  }

  pywts::Tick ticker() {
    return [this](std::uint64_t bytes) {
      called([&] {
        if (PyErr_CheckSignals() != 0) throw py::error_already_set();  // a signal's handler raised: Ctrl-C
        if (!progress_.is_none()) progress_(bytes);
      });
      return true;
    };
  }

  // The stream's write() may take less than it is given (raw, unbuffered files do).
  void write_stream(const char* text, std::size_t size) {
    while (size > 0) {
      const py::object taken = write_(py::bytes(text, size));
      if (taken.is_none()) return;
      const auto count = taken.cast<std::size_t>();
      if (count == 0 || count > size) throw py::value_error("the stream's write() returned an impossible count");
      text += count;
      size -= count;
    }
  }

  py::object write_;
  py::object progress_;
  std::uint32_t crc32_ = 0;
  std::atomic<bool> busy_ = false;
  std::exception_ptr raised_;
  std::unique_ptr<pywts::Writer> writer_;
};

// The bytes that all values of a view take.
Py_ssize_t bytes_of(const pywts::View& view, std::size_t each) {
  return static_cast<Py_ssize_t>(pywts::numel(view) * each);  // view_of() made sure that it fits
}

py::bytes encode(std::uintptr_t address, std::uint64_t size, const pywts::View& view) {
  const Py_ssize_t length = bytes_of(view, pywts::kTextPerValue);
  const pywts::Kernel& kernel = pywts::kernel();
  auto text = py::reinterpret_steal<py::bytes>(PyBytes_FromStringAndSize(nullptr, length));
  if (!text) throw py::error_already_set();
  char* out = PyBytes_AS_STRING(text.ptr());
  {
    const py::gil_scoped_release released;
    pywts::prepare_fresh(out, static_cast<std::size_t>(length));
    pywts::gather(memory_storage(address, size), view, [&](const std::uint32_t* bits, std::size_t n) {
      kernel.encode(bits, n, out);
      out += n * pywts::kTextPerValue;
    });
  }
  return text;
}

// A tensor's values in C order as native float32.
py::bytearray widened(const pywts::Storage& storage, const pywts::View& view) {
  auto values = py::reinterpret_steal<py::bytearray>(
      PyByteArray_FromStringAndSize(nullptr, bytes_of(view, sizeof(std::uint32_t))));
  if (!values) throw py::error_already_set();
  char* out = PyByteArray_AS_STRING(values.ptr());
  {
    const py::gil_scoped_release released;
    pywts::gather(storage, view, [&](const std::uint32_t* bits, std::size_t count) {
      std::memcpy(out, bits, count * sizeof(std::uint32_t));
      out += count * sizeof(std::uint32_t);
    });
  }
  return values;
}

}  // namespace

PYBIND11_MODULE(_core, module, py::mod_gil_not_used()) {
  module.attr("__version__") = PYWTS_VERSION;

  static PyObject* const core_error = PyErr_NewException("pywts._core.CoreError", PyExc_Exception, nullptr);
  module.attr("CoreError") = py::handle(core_error);
  py::register_exception_translator([](std::exception_ptr pointer) {
    try {
      if (pointer) std::rethrow_exception(pointer);
    } catch (const pywts::Error& error) {
      PyErr_SetObject(core_error, py::make_tuple(code_name(error.code), error.index, error.system_error).ptr());
    }
  });

  py::dict dtypes;
  for (const pywts::DtypeInfo& known : pywts::kDtypes) dtypes[py::str(known.name)] = known.size;
  module.attr("DTYPES") = dtypes;

  module.def("kernels", [] {
    py::list result;
    for (const pywts::Kernel* kernel : pywts::kernels())
      result.append(py::make_tuple(kernel->name, kernel->supported()));
    return result;
  });
  module.def("kernel", [] { return pywts::kernel().name; });
  module.def("reserve", &pywts::reserve, py::call_guard<py::gil_scoped_release>());
  // Where the bytes of an object with a contiguous buffer are: (address, size). The caller keeps the object alive.
  module.def("address", [](const py::handle& data) {
    const pywts::Bytes bytes(data);
    return py::make_tuple(reinterpret_cast<std::uintptr_t>(bytes.data()), bytes.size());
  });
  module.def("encode", [](std::uintptr_t address, std::uint64_t size, std::string_view dtype, bool swapped, bool half,
                          std::int64_t offset, const py::tuple& shape, const py::tuple& strides) {
    return encode(address, size, view_of(dtype, swapped, half, offset, shape, strides));
  });
  module.def(
      "file_widened", [](int file, std::uint64_t file_offset, std::uint64_t size, std::string_view dtype, bool swapped,
                         bool half, std::int64_t offset, const py::tuple& shape, const py::tuple& strides) {
        return widened(file_storage(file, file_offset, size), view_of(dtype, swapped, half, offset, shape, strides));
      });
  module.def("memory_widened", [](std::uintptr_t address, std::uint64_t size, std::string_view dtype, bool swapped,
                                  bool half, std::int64_t offset, const py::tuple& shape, const py::tuple& strides) {
    return widened(memory_storage(address, size), view_of(dtype, swapped, half, offset, shape, strides));
  });

  py::class_<PyWriter>(module, "Writer")
      .def(py::init<int, bool, py::object, bool, bool>(), py::arg("file"), py::arg("overlapped"),
           py::arg("progress") = py::none(), py::arg("checksum") = false, py::arg("durable") = false)
      .def(py::init<py::object, py::object, bool>(), py::arg("write"), py::arg("progress") = py::none(),
           py::arg("checksum") = false)
      .def("text", &PyWriter::text)
      .def("lines", &PyWriter::lines)
      .def_property_readonly("failed_line", &PyWriter::failed_line)
      .def("flush", &PyWriter::flush)
      .def_property_readonly("bytes", &PyWriter::bytes)
      .def_property_readonly("crc32", &PyWriter::crc32);

  pywts::bind_archive(module);
  pywts::bind_pickle(module);
  pywts::bind_describing(module);
  pywts::bind_reader(module);
}
