// The bindings, with the *_bindings.cpp beside it the only code that knows Python: check what is handed over, release
// the GIL, call the core.
#include <pybind11/pybind11.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "archive_bindings.hpp"
#include "pickle/machine.hpp"
#include "reader_bindings.hpp"
#include "view_arguments.hpp"
#include "wts/dtype.hpp"
#include "wts/error.hpp"
#include "wts/gather.hpp"
#include "wts/kernel.hpp"
#include "wts/memory.hpp"
#include "wts/writer.hpp"

namespace py = pybind11;
namespace pickle = pywts::pickle;

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

// A Writer for Python. Its callbacks run on the thread that called it, without the GIL, and take it.
class PyWriter {
 public:
  PyWriter(int file, bool overlapped, py::object progress)
      : progress_(std::move(progress)),
        writer_(std::make_unique<pywts::Writer>(pywts::file_sink(file), overlapped, ticker())) {}
  PyWriter(py::object write, py::object progress)
      : write_(std::move(write)),
        progress_(std::move(progress)),
        writer_(std::make_unique<pywts::Writer>(
            [this](const char* text, std::size_t size) { write_stream(text, size); }, false, ticker())) {}
  ~PyWriter() {
    const py::gil_scoped_release released;  // the second thread may be waited for
    writer_.reset();
  }
  PyWriter(const PyWriter&) = delete;
  PyWriter& operator=(const PyWriter&) = delete;

  void text(const py::bytes& text) {
    const std::string_view view = text;
    const py::gil_scoped_release released;
    writer_->text(view);
  }

  void values(const pywts::Storage& storage, const pywts::View& view) {
    const py::gil_scoped_release released;
    writer_->values(storage, view);
  }

  void flush() {
    const py::gil_scoped_release released;
    writer_->flush();
  }

  std::uint64_t bytes() const noexcept { return writer_->bytes(); }

 private:
  pywts::Tick ticker() {
    return [this](std::uint64_t bytes) {
      const py::gil_scoped_acquire gil;
      if (PyErr_CheckSignals() != 0) throw py::error_already_set();  // a signal's handler raised: Ctrl-C
      if (!progress_.is_none()) progress_(bytes);
      return true;
    };
  }

  // The stream's write() may take less than it is given (raw, unbuffered files do).
  void write_stream(const char* text, std::size_t size) {
    const py::gil_scoped_acquire gil;
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
  std::unique_ptr<pywts::Writer> writer_;
};

py::bytes encode(std::uintptr_t address, std::uint64_t size, const pywts::View& view) {
  const std::uint64_t count = pywts::numel(view);
  const pywts::Kernel& kernel = pywts::kernel();
  auto text = py::reinterpret_steal<py::bytes>(
      PyBytes_FromStringAndSize(nullptr, static_cast<Py_ssize_t>(count * pywts::kTextPerValue)));
  if (!text) throw py::error_already_set();
  char* out = PyBytes_AS_STRING(text.ptr());
  {
    const py::gil_scoped_release released;
    pywts::prepare_fresh(out, count * pywts::kTextPerValue);
    pywts::gather(memory_storage(address, size), view, [&](const std::uint32_t* bits, std::size_t n) {
      kernel.encode(bits, n, out);
      out += n * pywts::kTextPerValue;
    });
  }
  return text;
}

// A tensor's values in C order as native float32.
py::bytearray widened(const pywts::Storage& storage, const pywts::View& view) {
  const std::uint64_t size = pywts::numel(view) * sizeof(std::uint32_t);
  auto values =
      py::reinterpret_steal<py::bytearray>(PyByteArray_FromStringAndSize(nullptr, static_cast<Py_ssize_t>(size)));
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

// ---------------------------------------------------------------------------------------------------- pickles

constexpr std::array<const char*, 15> kKindNames = {"none",      "bool", "int",    "float", "bytes",
                                                    "bytearray", "str",  "tuple",  "list",  "set",
                                                    "frozenset", "dict", "global", "call",  "persistent"};
constexpr std::array<const char*, 6> kHowNames = {"reduce", "newobj", "newobj_ex", "obj", "inst", "extension"};

struct Pickle {
  Pickle(py::bytes held, std::string_view part, const pickle::Limits& limits)
      : data(std::move(held)), document(part, limits) {}
  py::bytes data;  // the document's texts point into it
  pickle::Document document;
};

py::str decode(std::string_view text) {
  auto result = py::reinterpret_steal<py::str>(
      PyUnicode_DecodeUTF8(text.data(), static_cast<Py_ssize_t>(text.size()), "surrogatepass"));
  if (!result) throw py::error_already_set();
  return result;
}

constexpr std::size_t kMostPlain = 4096;  // a tensor's arguments are some dozens
constexpr std::size_t kMostAxes = 64;
constexpr std::size_t kMostIntegerBytes = 1024;  // Python refuses to print integers of more than 4300 digits

class Node {
 public:
  Node(std::shared_ptr<Pickle> pickle, pickle::Id id) : pickle_(std::move(pickle)), id_(id) {}

  pickle::Id id() const noexcept { return id_; }
  const char* kind() const noexcept { return kKindNames[static_cast<std::size_t>(document().kind(id_))]; }
  std::uint64_t position() const noexcept { return document().position(id_); }
  bool same(const Node& other) const noexcept { return pickle_ == other.pickle_ && id_ == other.id_; }

  // The Python value of a scalar; every other kind of node, and an integer without measure, is itself.
  py::object value() const { return value_of(id_); }

  py::list items() const {
    const auto [data, size] = document().items(id_);
    py::list result(size);
    for (std::size_t i = 0; i < size; ++i) result[i] = node(data[i]);
    return result;
  }

  // Keys as value() gives them.
  py::list entries() const {
    const auto [data, size] = document().pairs(id_);
    py::list result(size);
    for (std::size_t i = 0; i < size; ++i) {
      // Python's dicts can be made slow by integers of one hash, of which there are few in 64 bits.
      const bool big = document().kind(data[i].key) == pickle::Kind::integer && document().big(data[i].key);
      result[i] = py::make_tuple(big ? py::cast(node(data[i].key)) : value_of(data[i].key), node(data[i].value));
    }
    return result;
  }

  py::list builds() const {
    const auto [data, size] = document().builds(id_);
    py::list result(size);
    for (std::size_t i = 0; i < size; ++i) result[i] = node(data[i].state);
    return result;
  }

  // How many items, entries or states there are, whichever are most.
  std::size_t length() const noexcept {
    const pickle::Document& doc = document();
    return std::max({doc.items(id_).size(), doc.pairs(id_).size(), doc.builds(id_).size()});
  }

  // Every persistent id of the whole pickle, in the order of their making.
  py::list persistents() const {
    py::list result;
    const pickle::Document& doc = document();
    for (std::size_t id = 0; id < doc.size(); ++id) {
      if (doc.kind(static_cast<pickle::Id>(id)) == pickle::Kind::persistent) {
        result.append(node(static_cast<pickle::Id>(id)));
      }
    }
    return result;
  }

  // "module.name" of a global, or of the global that a call calls; else None.
  py::object target() const {
    const pickle::Id global = document().kind(id_) == pickle::Kind::call ? document().function(id_) : id_;
    if (global == pickle::kNone || document().kind(global) != pickle::Kind::global) return py::none();
    std::string text(document().module(global));
    text += '.';
    text += document().name(global);
    return decode(text);
  }

  // The same of a call alone.
  py::object called() const { return document().kind(id_) == pickle::Kind::call ? target() : py::object(py::none()); }

  // Of the persistent id of a storage, as torch writes it: (class, key, elements, view), where class is "FloatStorage"
  // and kin, and view, of legacy streams, (offset, elements) or None. None for anything else, which may still be one.
  py::object storage() const { return storage_of(id_); }

  // Of a call of _rebuild_tensor_v2 as torch writes it: (storage, offset, shape, strides), every number a natural one.
  // None for anything else, which may still be a tensor.
  py::object tensor_view() const {
    const pickle::Document& doc = document();
    if (doc.kind(id_) != pickle::Kind::call) return py::none();
    const pickle::Id function = doc.function(id_);
    if (function == pickle::kNone || doc.name(function) != "_rebuild_tensor_v2" ||
        doc.module(function) != "torch._utils") {
      return py::none();
    }
    const auto arguments = doc.items(doc.arguments(id_));
    if (arguments.size() != 6) return py::none();
    const py::object storage = storage_of(arguments[0]);
    const py::object shape = naturals(arguments[2]);
    const py::object strides = naturals(arguments[3]);
    if (storage.is_none() || !natural(arguments[1]) || shape.is_none() || strides.is_none()) return py::none();
    return py::make_tuple(storage, value_of(arguments[1]), shape, strides);
  }

  py::object function() const { return related(document().kind(id_) == pickle::Kind::call, document().function(id_)); }
  py::object arguments() const {
    return related(document().kind(id_) == pickle::Kind::call, document().arguments(id_));
  }
  py::object keywords() const { return related(document().kind(id_) == pickle::Kind::call, document().keywords(id_)); }
  py::object argument() const {
    return related(document().kind(id_) == pickle::Kind::persistent, document().argument(id_));
  }
  py::object how() const {
    if (document().kind(id_) != pickle::Kind::call) return py::none();
    return py::str(kHowNames[static_cast<std::size_t>(document().how(id_))]);
  }
  py::str module() const { return decode(document().module(id_)); }
  py::str name() const { return decode(document().name(id_)); }

  // Tuples as tuples, scalars as values, to `depth` levels; anything else, and what lies deeper or beyond kMostPlain
  // items in all, as nodes.
  py::object plain(int depth) const {
    std::size_t left = kMostPlain;
    return plain_of(id_, depth, left);
  }

 private:
  const pickle::Document& document() const noexcept { return pickle_->document; }
  Node node(pickle::Id id) const { return {pickle_, id}; }
  py::object related(bool present, pickle::Id id) const {
    if (!present || id == pickle::kNone) return py::none();
    return py::cast(node(id));
  }

  bool natural(pickle::Id id) const {
    const pickle::Document& doc = document();
    return doc.kind(id) == pickle::Kind::integer && !doc.big(id) && doc.integer(id) >= 0;
  }

  // A tuple of natural numbers, or None.
  py::object naturals(pickle::Id id) const {
    const pickle::Document& doc = document();
    if (doc.kind(id) != pickle::Kind::tuple) return py::none();
    const auto items = doc.items(id);
    if (items.size() > kMostAxes) return py::none();
    py::tuple result(items.size());
    for (std::size_t i = 0; i < items.size(); ++i) {
      if (!natural(items[i])) return py::none();
      result[i] = py::int_(doc.integer(items[i]));
    }
    return result;
  }

  py::object storage_of(pickle::Id id) const {
    const pickle::Document& doc = document();
    if (doc.kind(id) != pickle::Kind::persistent) return py::none();
    const pickle::Id argument = doc.argument(id);
    const auto parts = doc.items(argument);
    if (doc.kind(argument) != pickle::Kind::tuple || parts.size() < 5 || parts.size() > 6) return py::none();
    const bool stored = doc.kind(parts[0]) == pickle::Kind::string && doc.text(parts[0]) == "storage";
    const std::string_view module = doc.module(parts[1]);
    if (!stored || (module != "torch" && module != "torch.storage") || doc.kind(parts[2]) != pickle::Kind::string ||
        !natural(parts[4])) {
      return py::none();
    }
    py::object view = py::none();
    if (parts.size() == 6 && doc.kind(parts[5]) != pickle::Kind::none) {
      const auto window = doc.items(parts[5]);
      if (doc.kind(parts[5]) != pickle::Kind::tuple || window.size() != 3 || !natural(window[1]) ||
          !natural(window[2])) {
        return py::none();
      }
      view = py::make_tuple(doc.integer(window[1]), doc.integer(window[2]));
    }
    return py::make_tuple(decode(doc.name(parts[1])), decode(doc.text(parts[2])), doc.integer(parts[4]), view);
  }

  py::object value_of(pickle::Id id) const {
    const pickle::Document& doc = document();
    switch (doc.kind(id)) {
      case pickle::Kind::none:
        return py::none();
      case pickle::Kind::boolean:
        return py::bool_(doc.integer(id) != 0);
      case pickle::Kind::integer:
        if (doc.big(id)) {
          const std::string_view bytes = doc.text(id);
          if (bytes.size() > kMostIntegerBytes) return py::cast(node(id));
          return py::module_::import("builtins")
              .attr("int")
              .attr("from_bytes")(py::bytes(bytes.data(), bytes.size()), "little", py::arg("signed") = true);
        }
        return py::int_(doc.integer(id));
      case pickle::Kind::real:
        return py::float_(doc.real(id));
      case pickle::Kind::bytes:
      case pickle::Kind::bytearray:
        return py::bytes(doc.text(id).data(), doc.text(id).size());
      case pickle::Kind::string:
        return decode(doc.text(id));
      default:
        return py::cast(node(id));
    }
  }

  py::object plain_of(pickle::Id id, int depth, std::size_t& left) const {
    if (document().kind(id) != pickle::Kind::tuple || depth <= 0) return value_of(id);
    const auto [data, size] = document().items(id);
    if (size > left) return value_of(id);
    left -= size;
    py::tuple result(size);
    for (std::size_t i = 0; i < size; ++i) result[i] = plain_of(data[i], depth - 1, left);
    return result;
  }

  std::shared_ptr<Pickle> pickle_;
  pickle::Id id_;
};

}  // namespace

PYBIND11_MODULE(_core, module, py::mod_gil_not_used()) {
  module.attr("__version__") = PYWTS_VERSION;

  static PyObject* const core_error = PyErr_NewException("pywts._core.CoreError", PyExc_Exception, nullptr);
  module.attr("CoreError") = py::handle(core_error);
  static PyObject* const pickle_error = PyErr_NewException("pywts._core.PickleError", PyExc_Exception, nullptr);
  module.attr("PickleError") = py::handle(pickle_error);
  py::register_exception_translator([](std::exception_ptr pointer) {
    try {
      if (pointer) std::rethrow_exception(pointer);
    } catch (const pywts::Error& error) {
      PyErr_SetObject(core_error, py::make_tuple(code_name(error.code), error.index, error.system_error).ptr());
    } catch (const pickle::Error& error) {
      PyErr_SetObject(pickle_error, py::make_tuple(error.what(), error.position).ptr());
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
  module.def("address", [](const py::buffer& data) {
    const py::buffer_info buffer = data.request();
    return py::make_tuple(reinterpret_cast<std::uintptr_t>(buffer.ptr), buffer.size * buffer.itemsize);
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
  module.def("inside", [](std::uint64_t size, std::string_view dtype, std::int64_t offset, const py::tuple& shape,
                          const py::tuple& strides) {
    return pywts::inside(view_of(dtype, false, false, offset, shape, strides), size);
  });

  py::class_<PyWriter>(module, "Writer")
      .def(py::init<int, bool, py::object>(), py::arg("file"), py::arg("overlapped"), py::arg("progress") = py::none())
      .def(py::init<py::object, py::object>(), py::arg("write"), py::arg("progress") = py::none())
      .def("text", &PyWriter::text)
      .def("file_values",
           [](PyWriter& self, int file, std::uint64_t file_offset, std::uint64_t size, std::string_view dtype,
              bool swapped, bool half, std::int64_t offset, const py::tuple& shape, const py::tuple& strides) {
             self.values(file_storage(file, file_offset, size), view_of(dtype, swapped, half, offset, shape, strides));
           })
      .def("memory_values",
           [](PyWriter& self, std::uintptr_t address, std::uint64_t size, std::string_view dtype, bool swapped,
              bool half, std::int64_t offset, const py::tuple& shape, const py::tuple& strides) {
             self.values(memory_storage(address, size), view_of(dtype, swapped, half, offset, shape, strides));
           })
      .def("flush", &PyWriter::flush)
      .def_property_readonly("bytes", &PyWriter::bytes);

  module.def(
      "parse_pickle",
      [](const py::bytes& data, std::uint64_t start, std::uint64_t opcodes, std::uint64_t nodes) {
        std::string_view part = data;
        if (start > part.size()) throw py::value_error("start lies after the data");
        part.remove_prefix(static_cast<std::size_t>(start));
        pickle::Limits limits;
        limits.opcodes = opcodes;
        limits.nodes = nodes;
        auto parsed = std::make_shared<Pickle>(data, part, limits);
        const pickle::Document& document = parsed->document;
        return py::make_tuple(Node(parsed, document.root()), start + document.end(), document.protocol());
      },
      py::arg("data"), py::arg("start"), py::arg("opcodes"), py::arg("nodes"));

  py::class_<Node>(module, "Node")
      .def_property_readonly("id", &Node::id)
      .def_property_readonly("kind", &Node::kind)
      .def_property_readonly("position", &Node::position)
      .def_property_readonly("value", &Node::value)
      .def_property_readonly("items", &Node::items)
      .def_property_readonly("entries", &Node::entries)
      .def_property_readonly("builds", &Node::builds)
      .def_property_readonly("length", &Node::length)
      .def_property_readonly("persistents", &Node::persistents)
      .def_property_readonly("target", &Node::target)
      .def_property_readonly("called", &Node::called)
      .def_property_readonly("storage", &Node::storage)
      .def_property_readonly("tensor_view", &Node::tensor_view)
      .def_property_readonly("function", &Node::function)
      .def_property_readonly("arguments", &Node::arguments)
      .def_property_readonly("keywords", &Node::keywords)
      .def_property_readonly("argument", &Node::argument)
      .def_property_readonly("how", &Node::how)
      .def_property_readonly("module", &Node::module)
      .def_property_readonly("name", &Node::name)
      .def("plain", &Node::plain, py::arg("depth") = 4)
      .def("__eq__",
           [](const Node& self, const py::object& other) {
             return py::isinstance<Node>(other) && self.same(other.cast<const Node&>());
           })
      .def("__hash__", &Node::id);

  pywts::bind_archive(module);
  pywts::bind_reader(module);
}
