#include "describing.hpp"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "archive_bindings.hpp"
#include "pickle/torch_records.hpp"
#include "pickle_bindings.hpp"
#include "slots.hpp"
#include "zip/directory.hpp"

namespace py = pybind11;

namespace pywts {
namespace {

constexpr std::int64_t kRepeated = 1 << 20;  // elements up to which a tensor may repeat its storage as it likes

// A key that messages can show as it is; torch's are numbers.
bool plain_key(std::string_view key) {
  return key.size() <= 64 && std::all_of(key.begin(), key.end(), [](char c) { return c >= ' ' && c <= '~'; });
}

// The storages of one folder of an archive, each made once, and the tensors that are views of them.
//
// It answers None for whatever is not in its usual form, and keeps no account of why: the careful functions of the
// Python side decide there, and say what is wrong.
class StoredStorages {
 public:
  StoredStorages(py::object archive, const py::bytes& folder, py::str label, int file, bool swapped,
                 const py::dict& classes, py::type storage, py::type tensor)
      : archive_(std::move(archive)),
        directory_(directory_of(archive_)),
        window_(file),
        folder_(folder),
        label_(std::move(label)),
        file_(file),
        swapped_(swapped),
        storage_(std::move(storage),
                 {"label", "size", "file", "file_offset", "address", "owner", "load", "swapped", "entry"}),
        tensor_(std::move(tensor), {"name", "dtype", "shape", "strides", "offset", "storage", "half"}),
        held_(directory_.entries().size()) {
    for (const auto& [name, kind] : classes) {
      const auto pair = kind.cast<py::tuple>();
      classes_.push_back({name.cast<std::string>(), pair[0], pair[1].cast<std::int64_t>()});
    }
  }

  // The storage of an entry that is stored, whole, and has as many bytes as the elements take. ValueError where `dtype`
  // or `elements` are not what was told of it before.
  py::object find(const std::string& key, const py::str& dtype, std::int64_t elements, std::int64_t item_size) {
    const std::optional<std::size_t> entry = entry_of(key);
    if (!entry) return py::none();
    const Held& held = held_[*entry];
    if (held.storage && !(held.elements == elements && held.dtype.equal(dtype))) {
      throw py::value_error("tells another dtype or size of the storage " + key + " than one before it");
    }
    std::int64_t size = 0;
    if (__builtin_mul_overflow(elements, item_size, &size)) return py::none();
    return storage_of(*entry, key, dtype, elements, static_cast<std::uint64_t>(size));
  }

  // The tensors that nodes would be, under these names, from the place `first` up to one that is not in its usual form:
  // what a tensor tells of a storage is held against those before it.
  py::list describe(const py::list& names, const py::list& nodes, std::size_t first) {
    if (names.size() != nodes.size()) throw py::value_error("as many names as nodes, please");
    py::list result;
    for (std::size_t i = first; i < names.size(); ++i) {
      const py::object tensor = described(names[i], nodes[i]);
      if (tensor.is_none()) break;
      result.append(tensor);
    }
    return result;
  }

 private:
  struct Class {
    std::string name;  // "FloatStorage"
    py::object dtype;  // "float32"
    std::int64_t item_size;
  };

  // What is known of an entry.
  struct Held {
    py::object storage;  // null until it is asked for
    py::object dtype;
    std::int64_t elements = 0;
  };

  py::object described(const py::handle& name, const py::handle& node) {
    const std::optional<NodeOfPickle> found = node_of_pickle(node);
    if (!found) return py::none();
    const auto record = pickle::tensor_record(found->document, pickle::without_parameter(found->document, found->id));
    if (!record || record->storage.view) return py::none();
    const Class* kind = class_of(record->storage.class_name);
    if (kind == nullptr) return py::none();
    std::int64_t size = 0;  // of the storage, and then of what the tensor reaches, in bytes
    std::int64_t reach = 0;
    const std::int64_t elements = record->storage.elements;
    if (__builtin_mul_overflow(elements, kind->item_size, &size) ||
        __builtin_mul_overflow(record->last + 1, kind->item_size, &reach) || (record->numel != 0 && reach > size) ||
        (record->numel > kRepeated && record->numel > elements)) {
      return py::none();
    }
    const std::optional<std::size_t> entry = entry_of(record->storage.key);
    if (!entry) return py::none();
    const Held& held = held_[*entry];
    if (held.storage && !(held.elements == elements && held.dtype.is(kind->dtype))) return py::none();
    py::object storage =
        storage_of(*entry, record->storage.key, kind->dtype, elements, static_cast<std::uint64_t>(size));
    if (storage.is_none()) return storage;
    return tensor_.make(py::reinterpret_borrow<py::object>(name), kind->dtype,
                        shape_.of(found->document, record->shape), strides_.of(found->document, record->strides),
                        py::int_(record->offset), std::move(storage), py::bool_(false));
  }

  const Class* class_of(std::string_view name) {
    if (last_class_ < classes_.size() && classes_[last_class_].name == name) return &classes_[last_class_];
    for (last_class_ = 0; last_class_ < classes_.size(); ++last_class_) {
      if (classes_[last_class_].name == name) return &classes_[last_class_];
    }
    return nullptr;
  }

  // Storages lie in an archive in the order of the tensors that bring them, so the next one is tried first.
  std::optional<std::size_t> entry_of(std::string_view key) {
    const std::vector<zip::Entry>& entries = directory_.entries();
    const auto is_it = [&](const zip::Entry& entry) {
      return entry.name.size() == folder_.size() + key.size() && entry.name.compare(0, folder_.size(), folder_) == 0 &&
             entry.name.substr(folder_.size()) == key;
    };
    std::size_t found = next_;
    if (found >= entries.size() || !is_it(entries[found])) {
      sought_.assign(folder_).append(key);
      const zip::Entry* entry = directory_.find(sought_);
      if (entry == nullptr) return std::nullopt;
      found = static_cast<std::size_t>(entry - entries.data());
    }
    next_ = found + 1;
    return found;
  }

  py::object storage_of(std::size_t index, std::string_view key, const py::object& dtype, std::int64_t elements,
                        std::uint64_t size) {
    Held& held = held_[index];
    if (held.storage) return held.storage;
    const zip::Entry& entry = directory_.entries()[index];
    if (entry.method != zip::kStored || entry.size < size || !plain_key(key)) return py::none();
    std::uint64_t data = 0;
    try {
      data = directory_.locate(entry, window_);
    } catch (const zip::Error&) {
      return py::none();
    }
    auto label =
        py::reinterpret_steal<py::object>(PyUnicode_Concat(label_.ptr(), py::str(key.data(), key.size()).ptr()));
    if (!label) throw py::error_already_set();
    py::int_ at(data);
    py::tuple span = py::make_tuple(at, entry.size, entry.crc);
    held.storage = storage_.make(std::move(label), py::int_(size), file_, std::move(at), py::int_(0), py::none(),
                                 py::none(), swapped_, std::move(span));
    held.dtype = dtype;
    held.elements = elements;
    return held.storage;
  }

  // A shape or strides; those of the tensor before are used again where they are the same.
  class Integers {
   public:
    py::tuple of(const pickle::Document& document, pickle::Span<pickle::Id> ids) {
      const auto same = [&](std::int64_t value, pickle::Id id) { return value == document.integer(id); };
      if (!tuple_ || !std::equal(values_.begin(), values_.end(), ids.begin(), ids.end(), same)) {
        py::tuple made(ids.size());
        values_.clear();
        for (const pickle::Id id : ids) {
          const auto axis = static_cast<Py_ssize_t>(values_.size());
          values_.push_back(document.integer(id));
          PyTuple_SET_ITEM(made.ptr(), axis, py::int_(values_.back()).release().ptr());
        }
        tuple_ = std::move(made);
      }
      return tuple_;
    }

   private:
    py::tuple tuple_ = py::reinterpret_steal<py::tuple>(py::handle());
    std::vector<std::int64_t> values_;
  };

  py::object archive_;  // keeps the directory
  const zip::Directory& directory_;
  zip::Window window_;
  std::string folder_;
  py::str label_;  // what stands before the key where messages name a storage
  py::int_ file_;
  py::bool_ swapped_;
  Slots<9> storage_;
  Slots<7> tensor_;
  std::vector<Class> classes_;
  std::size_t last_class_ = 0;
  std::vector<Held> held_;  // by the entry's place in the directory
  std::size_t next_ = 0;
  Integers shape_;
  Integers strides_;
  std::string sought_;
};

}  // namespace

void bind_describing(py::module_& module) {
  py::class_<StoredStorages>(module, "StoredStorages")
      .def(py::init<py::object, const py::bytes&, py::str, int, bool, const py::dict&, py::type, py::type>())
      .def("find", &StoredStorages::find)
      .def("describe", &StoredStorages::describe);
}

}  // namespace pywts
