#include "reader_bindings.hpp"

#include <pybind11/stl.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "view_arguments.hpp"
#include "wts.hpp"
#include "wts/memory.hpp"
#include "wts/statistics.hpp"
#include "wts/values.hpp"

namespace py = pybind11;

namespace pywts {
namespace {

constexpr std::array<const char*, 16> kCodeNames = {"none",   "file",    "not_wts",  "head",      "line",    "digit",
                                                    "values", "cut",     "trailing", "duplicate", "missing", "count",
                                                    "range",  "changed", "kernel",   "memory"};
constexpr std::array<const char*, 6> kDialectNames = {"double", "single", "spaced", "0x", "typed", "typed half"};

// Names and messages hold a file's bytes, which may be no UTF-8.
py::str text_of(std::string_view text) {
  auto result = py::reinterpret_steal<py::str>(
      PyUnicode_DecodeUTF8(text.data(), static_cast<Py_ssize_t>(text.size()), "surrogateescape"));
  if (!result) throw py::error_already_set();
  return result;
}

// Memory of a Python object that is written to without the GIL, and stays alive so long: an address would outlive it.
class Output {
 public:
  Output(const py::handle& object, std::uint64_t values) : bytes_(object, PyBUF_WRITABLE) {
    if (bytes_.size() % sizeof(float) != 0 || bytes_.size() / sizeof(float) != values) {
      throw py::value_error("the memory is not of as many bytes as the values take");
    }
    if (values != 0 && reinterpret_cast<std::uintptr_t>(bytes_.data()) % alignof(float) != 0) {
      throw py::value_error("the memory does not begin where a float32 may");
    }
  }

  float* values() const noexcept { return static_cast<float*>(bytes_.data()); }
  // The same, for memory that was not touched before.
  float* fresh() const noexcept {
    prepare_fresh(bytes_.data(), bytes_.size());
    return values();
  }

 private:
  Bytes bytes_;
};

// Values for Python; what holds their memory is kept alive.
struct PyValues : Values {
  py::object owner;
};

class Reader {
 public:
  // Of a file, or of the text that is given: what waits for a pipe must be able to be interrupted.
  Reader(const py::bytes& path, std::optional<py::bytes> text) : text_(std::move(text)) {
    const std::string name = path;
    const std::string_view held = text_ ? std::string_view(*text_) : std::string_view();
    const py::gil_scoped_release released;
    file_ = text_ ? std::make_shared<const WtsFile>(name, held) : std::make_shared<const WtsFile>(name);
  }

  // (name, number of values, offset of the first, line, dialect) of each tensor.
  py::list tensors() const {
    py::list result(weights().size());
    std::size_t i = 0;
    for (const wts::tensor& tensor : weights()) {
      result[i++] = py::make_tuple(text_of(tensor.name), tensor.count, tensor.offset, tensor.line,
                                   kDialectNames[static_cast<std::size_t>(tensor.dialect)]);
    }
    return result;
  }

  // Decodes a tensor into fresh memory.
  void read(std::size_t index, const py::handle& memory) const {
    const wts::tensor& tensor = at(index);
    const Output output(memory, tensor.count);
    const py::gil_scoped_release released;
    wts::error why;
    if (!weights().try_read(tensor, 0, tensor.count, output.fresh(), &why)) throw wts::error(why);
  }

  // The same for every tensor: memory for each.
  void read_all(const py::list& memory) const {
    if (memory.size() != weights().size()) throw py::value_error("memory for each tensor is needed");
    std::vector<Output> outputs;
    outputs.reserve(memory.size());
    for (const wts::tensor& tensor : weights()) outputs.emplace_back(memory[outputs.size()], tensor.count);
    const py::gil_scoped_release released;
    std::vector<float*> places;
    places.reserve(outputs.size());
    for (const Output& output : outputs) places.push_back(output.fresh());
    weights().read_all(places.data());
  }

  std::unique_ptr<PyValues> values(std::size_t index) const {
    auto result = std::make_unique<PyValues>();
    result->line = &at(index);
    result->file = file_;
    if (text_) result->owner = *text_;
    return result;
  }

  std::vector<py::str> nearest(const py::bytes& name) const {
    std::vector<py::str> result;
    for (const std::string_view other : weights().nearest(std::string_view(name))) result.push_back(text_of(other));
    return result;
  }

 private:
  const wts::tensor& at(std::size_t index) const {
    if (index >= weights().size()) throw py::index_error();
    return weights()[index];
  }

  const wts::weights& weights() const noexcept { return file_->weights(); }

  std::optional<py::bytes> text_;  // what the file is, where it was given
  std::shared_ptr<const WtsFile> file_;
};

std::unique_ptr<PyValues> described(const Storage& storage, View view, py::object owner) {
  auto result = std::make_unique<PyValues>();
  result->storage = storage;
  result->view = std::move(view);
  result->owner = std::move(owner);
  return result;
}

// A difference: (count, first, bits of a, bits of b, NaNs, largest, sum, ULP).
py::tuple as_tuple(const Difference& found) {
  return py::make_tuple(found.count, found.first, found.a, found.b, found.nans, found.most, found.sum, found.ulp);
}

// The tuple is to be kept while this is used without the GIL: a list could change meanwhile.
std::vector<const Values*> values_in(const py::tuple& given) {
  std::vector<const Values*> all;
  for (const py::handle each : given) all.push_back(&each.cast<const PyValues&>());
  return all;
}

py::list compare_pairs(const py::list& list, bool first_only) {
  const py::tuple given(list);
  std::vector<py::tuple> held;
  std::vector<Pair> pairs;
  for (const py::handle each : given) {
    const std::vector<const Values*> two = values_in(held.emplace_back(each.cast<py::tuple>()));
    if (two.size() != 2 || two[0]->size() != two[1]->size()) throw py::value_error("pairs are of values of one size");
    pairs.emplace_back(two[0], two[1]);
  }
  std::vector<Difference> found;
  {
    const py::gil_scoped_release released;
    found = compare(pairs, first_only);
  }
  py::list result;
  for (const Difference& each : found) result.append(as_tuple(each));
  return result;
}

std::vector<std::uint32_t> sums_of(const py::list& list) {
  const py::tuple given(list);
  const std::vector<const Values*> all = values_in(given);
  const py::gil_scoped_release released;
  return checksums(all);
}

py::tuple floats_of(const std::array<std::uint32_t, Statistics::kShown>& bits, std::uint64_t count) {
  py::tuple result(std::min<std::uint64_t>(count, bits.size()));
  for (std::size_t i = 0; i < result.size(); ++i) {
    float value;
    std::memcpy(&value, &bits[i], sizeof value);
    result[i] = py::float_(static_cast<double>(value));
  }
  return result;
}

// (values, finite ones, minimum, maximum, mean, sum of squares, zeros, negative zeros, NaNs, overflow, underflow and
// subnormal in float16, {upper nine bits: count}, first values, last values), or the index of a value that overflows
// float32.
py::object as_object(const Statistics& found) {
  if (found.overflow >= 0) return py::int_(found.overflow);
  py::dict exponents;
  for (std::size_t i = 0; i < found.exponents.size(); ++i) {
    if (found.exponents[i] != 0) exponents[py::int_(i)] = found.exponents[i];
  }
  return py::make_tuple(found.count, found.finite, found.minimum, found.maximum, found.mean, found.squares, found.zeros,
                        found.negative_zeros, found.nans, found.half_overflow, found.half_underflow,
                        found.half_subnormal, exponents, floats_of(found.first, found.count),
                        floats_of(found.last, found.count));
}

py::list statistics_of(const py::list& list) {
  const py::tuple given(list);
  const std::vector<const Values*> all = values_in(given);
  std::vector<Statistics> found;
  {
    const py::gil_scoped_release released;
    found = statistics(all);
  }
  py::list result;
  for (const Statistics& each : found) result.append(as_object(each));
  return result;
}

// Decodes 9 bytes a value into fresh memory; the offset of the first byte that does not belong there, or -1.
std::int64_t decode(const py::handle& text, const py::handle& memory) {
  const Bytes bytes(text);
  const auto* const from = static_cast<const char*>(bytes.data());
  const std::size_t size = bytes.size();
  const Output output(memory, size / 9);
  const py::gil_scoped_release released;
  const wts::kernel* const kernel = wts::choose_kernel();
  if (kernel == nullptr) {
    wts::parse({from, size});  // throws the error that says why
  }
  if (size % 9 == 0 && kernel->decode(from, size / 9, output.fresh())) return -1;
  return static_cast<std::int64_t>(wts::first_wrong({from, size}));
}

}  // namespace

void bind_reader(py::module_& module) {
  static PyObject* const wts_fault = PyErr_NewException("pywts._core.WtsFault", PyExc_Exception, nullptr);
  module.attr("WtsFault") = py::handle(wts_fault);
  py::register_exception_translator([](std::exception_ptr pointer) {
    try {
      if (pointer) std::rethrow_exception(pointer);
    } catch (const wts::error& error) {
      const char* const code = kCodeNames.at(static_cast<std::size_t>(error.code));
      PyErr_SetObject(wts_fault,
                      py::make_tuple(code, text_of(error.text), text_of(error.tensor), error.line, error.offset).ptr());
    }
  });

  py::class_<PyValues>(module, "Values")
      .def_static(
          "of_file",
          [](int file, std::uint64_t file_offset, std::uint64_t size, std::string_view dtype, bool swapped, bool half,
             std::int64_t offset, const py::tuple& shape, const py::tuple& strides, py::object owner) {
            return described(file_storage(file, file_offset, size),
                             view_of(dtype, swapped, half, offset, shape, strides), std::move(owner));
          })
      .def_static("of_memory",
                  [](std::uintptr_t address, std::uint64_t size, std::string_view dtype, bool swapped, bool half,
                     std::int64_t offset, const py::tuple& shape, const py::tuple& strides, py::object owner) {
                    return described(memory_storage(address, size),
                                     view_of(dtype, swapped, half, offset, shape, strides), std::move(owner));
                  })
      .def_property_readonly("size", &PyValues::size)
      .def_property_readonly("part", &PyValues::part)
      .def("read", [](const PyValues& self, std::uint64_t begin, std::uint64_t end, const py::handle& memory) {
        if (begin > end || end > self.size()) throw py::index_error();
        const Output output(memory, end - begin);
        const py::gil_scoped_release released;
        Workspace workspace;
        auto* bits = reinterpret_cast<std::uint32_t*>(output.values());
        for (const std::uint64_t part = self.part(); begin < end; begin += part, bits += part) {
          read(self, begin, std::min(end, begin + part), bits, workspace);
        }
      });

  py::class_<Reader>(module, "Reader")
      .def(py::init<const py::bytes&, std::optional<py::bytes>>(), py::arg("path"), py::arg("text") = py::none())
      .def("tensors", &Reader::tensors)
      .def("read", &Reader::read)
      .def("read_all", &Reader::read_all)
      .def("values", &Reader::values)
      .def("nearest", &Reader::nearest);

  module.def("compare", &compare_pairs);
  module.def("checksums", &sums_of);
  module.def("statistics", &statistics_of);
  module.def("decode", &decode);
}

}  // namespace pywts
