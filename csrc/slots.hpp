// Instances of Python classes with __slots__, made without their constructor: part of the bindings.
#pragma once

#include <pybind11/pybind11.h>
// After Python.h, where pybind11 put it: T_OBJECT_EX of Pythons before 3.12.
#include <structmember.h>

#include <array>
#include <cstddef>
#include <utility>

namespace pywts {

// A class of which every attribute is one of `Count` slots. A slot's descriptor tells the offset of its pointer in an
// instance, so that filling one costs no call: constructors are most of what 100,000 descriptions would take.
template <std::size_t Count>
class Slots {
 public:
  Slots(pybind11::type type, const std::array<const char*, Count>& names) : type_(std::move(type)) {
    if (pybind11::len(type_.attr("__slots__")) != Count) throw pybind11::type_error("has slots that nobody would fill");
    for (std::size_t i = 0; i < Count; ++i) {
      const pybind11::object descriptor = type_.attr(names[i]);
      if (Py_TYPE(descriptor.ptr()) != &PyMemberDescr_Type) throw pybind11::type_error("no slot, but an attribute");
      // Another class's would tell where that one's instances have it.
      if (!PyType_IsSubtype(reinterpret_cast<PyTypeObject*>(type_.ptr()), PyDescr_TYPE(descriptor.ptr())))
        throw pybind11::type_error("no slot of its own");
      const PyMemberDef* member = reinterpret_cast<PyMemberDescrObject*>(descriptor.ptr())->d_member;
      if (member->type != T_OBJECT_EX) throw pybind11::type_error("no slot, but a member of another kind");
      offsets_[i] = member->offset;
    }
  }

  // An instance with these values, in the order of the names.
  template <class... Values>
  pybind11::object make(Values&&... values) const {
    static_assert(sizeof...(Values) == Count);
    auto* type = reinterpret_cast<PyTypeObject*>(type_.ptr());
    auto made = pybind11::reinterpret_steal<pybind11::object>(type->tp_alloc(type, 0));
    if (!made) throw pybind11::error_already_set();
    std::size_t i = 0;
    (put(made.ptr(), i++, pybind11::object(std::forward<Values>(values))), ...);
    return made;
  }

 private:
  void put(PyObject* instance, std::size_t slot, pybind11::object value) const noexcept {
    *reinterpret_cast<PyObject**>(reinterpret_cast<char*>(instance) + offsets_[slot]) = value.release().ptr();
  }

  pybind11::type type_;
  std::array<Py_ssize_t, Count> offsets_{};
};

}  // namespace pywts
