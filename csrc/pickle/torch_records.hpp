// What torch's own classes write, read from the nodes of a pickle: tensors, storages and modules in their usual form.
//
// Each function answers nothing for a record of any other form, which may still be one: the careful views of the
// Python side decide there, and say what is wrong.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "pickle/machine.hpp"

namespace pywts::pickle {

// The persistent id of a storage: ("storage", torch.FloatStorage, key, location, elements), with a view of its
// elements (offset, count) in legacy streams (torch/serialization.py, persistent_id).
struct StorageRecord {
  std::string_view class_name;  // "FloatStorage", "UntypedStorage"
  std::string_view key;
  std::int64_t elements;
  std::optional<std::pair<std::int64_t, std::int64_t>> view;
};

std::optional<StorageRecord> storage_record(const Document& document, Id id);

// A call of torch._utils._rebuild_tensor_v2. Every number is a natural one, and neither the number of elements nor the
// place of the last one comes near the end of 64 bits.
struct TensorRecord {
  StorageRecord storage;
  std::int64_t offset;  // elements
  Span<Id> shape;
  Span<Id> strides;  // elements, as many as the shape has
  std::int64_t numel;
  std::int64_t last;  // the element of the storage that lies furthest back; the offset where there is none
};

std::optional<TensorRecord> tensor_record(const Document& document, Id id);

// The tensor that a Parameter is made of (torch._utils._rebuild_parameter); what is no Parameter is itself.
Id without_parameter(const Document& document, Id id);

// The state of an nn.Module, as its state_dict would walk it (torch/nn/modules/module.py, _save_to_state_dict): the
// parameters and buffers that are not None, all of them persistent, then the children that are not None.
struct ModuleRecord {
  std::vector<Pair> tensors;
  std::vector<Pair> children;
  bool hooked;          // with state_dict hooks, which only its class could run
  std::size_t entries;  // that were looked at, those that are None included
};

std::optional<ModuleRecord> module_record(const Document& document, Id id);

}  // namespace pywts::pickle
