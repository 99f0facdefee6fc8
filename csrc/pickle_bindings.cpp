#include "pickle_bindings.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "pickle/machine.hpp"
#include "pickle/survey.hpp"
#include "pickle/torch_records.hpp"

namespace py = pybind11;

namespace pywts {
namespace {

constexpr std::array<const char*, 15> kKindNames = {"none",      "bool", "int",    "float", "bytes",
                                                    "bytearray", "str",  "tuple",  "list",  "set",
                                                    "frozenset", "dict", "global", "call",  "persistent"};
constexpr std::array<const char*, 6> kHowNames = {"reduce", "newobj", "newobj_ex", "obj", "inst", "extension"};

struct Pickle {
  Pickle(py::bytes held, std::string_view part, const pickle::Limits& limits)
      : data(std::move(held)), document(part, limits) {}
  Pickle(py::bytes held, pickle::Document made) : data(std::move(held)), document(std::move(made)) {}
  py::bytes data;  // the document's texts point into it
  pickle::Document document;
};

py::str decode(std::string_view text) {
  auto result = py::reinterpret_steal<py::str>(
      PyUnicode_DecodeUTF8(text.data(), static_cast<Py_ssize_t>(text.size()), "surrogatepass"));
  if (!result) throw py::error_already_set();
  return result;
}

constexpr std::size_t kMostPlain = 4096;         // a tensor's arguments are some dozens
constexpr std::size_t kMostIntegerBytes = 1024;  // Python refuses to print integers of more than 4300 digits

class Node {
 public:
  Node(std::shared_ptr<Pickle> pickle, pickle::Id id) : pickle_(std::move(pickle)), id_(id) {}

  const pickle::Document& document() const noexcept { return pickle_->document; }
  pickle::Id id() const noexcept { return id_; }
  const char* kind() const noexcept { return kKindNames[static_cast<std::size_t>(document().kind(id_))]; }
  std::uint64_t position() const noexcept { return document().position(id_); }
  std::string repr() const { return "<" + std::string(kind()) + ">"; }
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
    for (std::size_t i = 0; i < size; ++i) result[i] = py::make_tuple(key_of(data[i].key), node(data[i].value));
    return result;
  }

  // The same as a dict, in which the last of equal keys wins.
  py::dict mapping() const {
    const auto [data, size] = document().pairs(id_);
    py::dict result;
    for (std::size_t i = 0; i < size; ++i) result[key_of(data[i].key)] = node(data[i].value);
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

  // Of the persistent id of a storage in its usual form: (class, key, elements, view), where class is "FloatStorage"
  // and kin, and view (offset, elements) or None. None for anything else, which may still be one.
  py::object storage() const {
    const auto record = pickle::storage_record(document(), id_);
    return record ? py::object(in_python(*record)) : py::none();
  }

  // Of a tensor in its usual form: (storage, offset, shape, strides, numel, last). None for anything else, which may
  // still be a tensor.
  py::object tensor_view() const {
    const auto record = pickle::tensor_record(document(), id_);
    if (!record) return py::none();
    return py::make_tuple(in_python(record->storage), record->offset, integers(record->shape),
                          integers(record->strides), record->numel, record->last);
  }

  // Of a module in its usual form: (tensors, children, hooked, number of entries that were looked at), where tensors
  // and children are pairs of a name and a node. None for anything else, which may still be a module.
  py::object module_parts() const {
    const auto record = pickle::module_record(document(), id_);
    if (!record) return py::none();
    return py::make_tuple(named(record->tensors), named(record->children), record->hooked, record->entries);
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
  int protocol() const noexcept { return document().protocol(id_); }  // of a global
  py::str module() const { return decode(document().module(id_)); }
  py::str name() const { return decode(document().name(id_)); }

  // Tuples as tuples, scalars as values, to `depth` levels; anything else, and what lies deeper or beyond kMostPlain
  // items in all, as nodes.
  py::object plain(int depth) const {
    std::size_t left = kMostPlain;
    return plain_of(id_, depth, left);
  }

 private:
  Node node(pickle::Id id) const { return {pickle_, id}; }
  py::object related(bool present, pickle::Id id) const {
    if (!present || id == pickle::kNone) return py::none();
    return py::cast(node(id));
  }

  static py::tuple in_python(const pickle::StorageRecord& record) {
    py::object view = py::none();
    if (record.view) view = py::make_tuple(record.view->first, record.view->second);
    return py::make_tuple(decode(record.class_name), decode(record.key), record.elements, view);
  }

  py::tuple integers(pickle::Span<pickle::Id> ids) const {
    py::tuple result(ids.size());
    for (std::size_t i = 0; i < ids.size(); ++i) result[i] = py::int_(document().integer(ids[i]));
    return result;
  }

  py::list named(const std::vector<pickle::Pair>& pairs) const {
    py::list result(pairs.size());
    for (std::size_t i = 0; i < pairs.size(); ++i) {
      result[i] = py::make_tuple(decode(document().text(pairs[i].key)), node(pairs[i].value));
    }
    return result;
  }

  // A key's value; an integer of more than 64 bits stays a node: there are many of one hash among those, which would
  // make a dict slow.
  py::object key_of(pickle::Id id) const {
    const bool big = document().kind(id) == pickle::Kind::integer && document().big(id);
    return big ? py::cast(node(id)) : value_of(id);
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

constexpr std::array<const char*, 12> kDeedNames = {"import",     "pass",  "reduce", "newobj",
                                                    "newobj_ex",  "obj",   "inst",   "extension",
                                                    "persistent", "build", "append", "setitem"};
constexpr std::array<const char*, 4> kTargetNames = {"", "imported", "made", "loaded"};
constexpr std::array<const char*, 3> kStateNames = {"plain", "hooking", "opaque"};

std::string_view part_of(const py::bytes& data, std::uint64_t start) {
  const std::string_view whole = data;
  if (start > whole.size()) throw py::value_error("start lies after the data");
  return whole.substr(static_cast<std::size_t>(start));
}

pickle::Limits limits_of(std::uint64_t opcodes, std::uint64_t nodes) {
  pickle::Limits limits;
  limits.opcodes = opcodes;
  limits.nodes = nodes;
  return limits;
}

// What a pickle would do, as far as it can be followed.
class Survey {
 public:
  Survey(const py::bytes& data, std::uint64_t start, std::uint64_t opcodes, std::uint64_t nodes) : start_(start) {
    const std::string_view part = part_of(data, start);
    const py::gil_scoped_release released;
    auto document = pickle::Document::until_error(part, limits_of(opcodes, nodes), fault_);
    uses_ = pickle::survey(document);
    embedded_ = pickle::embedded(document);
    const py::gil_scoped_acquire gil;
    pickle_ = std::make_shared<Pickle>(data, std::move(document));
  }

  // Why and where it cannot be followed to its end; None where it can.
  py::object fault() const {
    if (!fault_) return py::none();
    return py::make_tuple(fault_->what(), fault_->position);
  }
  py::object root() const {
    return fault_ ? py::object(py::none()) : py::cast(Node(pickle_, pickle_->document.root()));
  }
  std::uint64_t end() const noexcept { return start_ + pickle_->document.end(); }
  int protocol() const noexcept { return pickle_->document.protocol(); }

  // (deed, target, state, global or None, position, number of nodes) of each use.
  py::list uses() const {
    py::list result(uses_.size());
    std::size_t i = 0;
    for (const pickle::Use& use : uses_) {
      const py::object global =
          use.global == pickle::kNone ? py::object(py::none()) : py::cast(Node(pickle_, use.global));
      result[i++] = py::make_tuple(
          kDeedNames[static_cast<std::size_t>(use.deed)], kTargetNames[static_cast<std::size_t>(use.target)],
          kStateNames[static_cast<std::size_t>(use.state)], global, use.position, use.nodes.size());
    }
    return result;
  }
  // The nodes of a use, from the first on.
  py::list nodes(std::size_t use, std::size_t most) const {
    if (use >= uses_.size()) throw py::index_error();
    const std::vector<pickle::Id>& ids = uses_[use].nodes;
    py::list result(std::min(most, ids.size()));
    for (std::size_t i = 0; i < result.size(); ++i) result[i] = Node(pickle_, ids[i]);
    return result;
  }
  // The first nodes of bytes and strings that may be pickles or hold some.
  py::list embedded(std::size_t most) const {
    py::list result(std::min(most, embedded_.size()));
    for (std::size_t i = 0; i < result.size(); ++i) result[i] = Node(pickle_, embedded_[i]);
    return result;
  }

 private:
  std::uint64_t start_;
  std::optional<pickle::Error> fault_;
  std::shared_ptr<Pickle> pickle_;
  std::vector<pickle::Use> uses_;
  std::vector<pickle::Id> embedded_;
};

}  // namespace

std::optional<NodeOfPickle> node_of_pickle(py::handle value) {
  py::detail::make_caster<Node> caster;
  if (!caster.load(value, false)) return std::nullopt;
  const Node& node = py::detail::cast_op<const Node&>(caster);
  return NodeOfPickle{node.document(), node.id()};
}

void bind_pickle(py::module_& module) {
  static PyObject* const pickle_error = PyErr_NewException("pywts._core.PickleError", PyExc_Exception, nullptr);
  module.attr("PickleError") = py::handle(pickle_error);
  py::register_exception_translator([](std::exception_ptr pointer) {
    try {
      if (pointer) std::rethrow_exception(pointer);
    } catch (const pickle::Error& error) {
      PyErr_SetObject(pickle_error, py::make_tuple(error.what(), error.position).ptr());
    }
  });

  module.def(
      "parse_pickle",
      [](const py::bytes& data, std::uint64_t start, std::uint64_t opcodes, std::uint64_t nodes) {
        auto parsed = std::make_shared<Pickle>(data, part_of(data, start), limits_of(opcodes, nodes));
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
      .def_property_readonly("mapping", &Node::mapping)
      .def_property_readonly("builds", &Node::builds)
      .def_property_readonly("length", &Node::length)
      .def_property_readonly("persistents", &Node::persistents)
      .def_property_readonly("target", &Node::target)
      .def_property_readonly("called", &Node::called)
      .def_property_readonly("storage", &Node::storage)
      .def_property_readonly("tensor_view", &Node::tensor_view)
      .def_property_readonly("module_parts", &Node::module_parts)
      .def_property_readonly("function", &Node::function)
      .def_property_readonly("arguments", &Node::arguments)
      .def_property_readonly("keywords", &Node::keywords)
      .def_property_readonly("argument", &Node::argument)
      .def_property_readonly("how", &Node::how)
      .def_property_readonly("protocol", &Node::protocol)
      .def_property_readonly("module", &Node::module)
      .def_property_readonly("name", &Node::name)
      .def("plain", &Node::plain, py::arg("depth") = 4)
      .def("__eq__",
           [](const Node& self, const py::object& other) {
             return py::isinstance<Node>(other) && self.same(other.cast<const Node&>());
           })
      .def("__hash__", &Node::id)
      .def("__repr__", &Node::repr);

  py::class_<Survey>(module, "Survey")
      .def(py::init<const py::bytes&, std::uint64_t, std::uint64_t, std::uint64_t>())
      .def_property_readonly("fault", &Survey::fault)
      .def_property_readonly("root", &Survey::root)
      .def_property_readonly("end", &Survey::end)
      .def_property_readonly("protocol", &Survey::protocol)
      .def("uses", &Survey::uses)
      .def("nodes", &Survey::nodes)
      .def("embedded", &Survey::embedded);
}

}  // namespace pywts
