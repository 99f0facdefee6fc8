#include "pickle/builder.hpp"

#include <algorithm>
#include <cstring>

namespace pywts::pickle {

Builder::Builder(Document& document, const Input& input, const Limits& limits)
    : document_(document), input_(input), most_nodes_(std::min<std::uint64_t>(limits.nodes, kNone)) {
  recent_.fill(kNone);
}

Id Builder::big(std::string_view bytes) {
  Node& node = make(Kind::integer);
  node.text = {bytes.data(), bytes.size()};
  node.detail = 1;
  return last();
}

Id Builder::real(double value) {
  make(Kind::real).real = value;
  return last();
}

std::string_view Builder::keep(std::string_view text) {
  if (text.size() > kept_room_) {
    const std::size_t size = std::max<std::size_t>(text.size(), 1 << 12);
    document_.texts_.emplace_back(new char[size]);
    kept_ = document_.texts_.back().get();
    kept_room_ = size;
  }
  const std::string_view kept(kept_, text.size());
  kept_ = std::copy(text.begin(), text.end(), kept_);
  kept_room_ -= text.size();
  return kept;
}

Id Builder::links(Kind kind, Id first, Id second, Id third, std::uint8_t detail) {
  Node& node = make(kind);
  node.links = {{first, second, third}, kNone};
  node.detail = detail;
  return last();
}

Id Builder::global(Id module, Id name) {
  return links(Kind::global, module, name, kNone, static_cast<std::uint8_t>(document_.protocol_));
}

Id Builder::call(How how, Id function, Id arguments, Id keywords) {
  return links(Kind::call, function, arguments, keywords, static_cast<std::uint8_t>(how));
}

Id Builder::persistent(Id argument) { return links(Kind::persistent, argument, kNone, kNone, 0); }

bool Builder::hashable(Id id) const noexcept {
  switch (kind(id)) {
    case Kind::list:
    case Kind::set:
    case Kind::dict:
    case Kind::bytearray:
      return false;
    case Kind::tuple:
      return document_.nodes_[id].detail == 0;
    default:
      return true;
  }
}

Id Builder::filled(Kind kind, const Extent& extent) {
  make(kind).extent = extent;
  return last();
}

Id Builder::empty_tuple() {
  if (empty_tuple_ == kNone) empty_tuple_ = filled(Kind::tuple, {0, 0, 0});
  return empty_tuple_;
}

// A tuple cannot change, so whether it can be hashed is known once and for all: no walk, however deep it nests.
Id Builder::tuple(Span<Id> items) {
  if (items.empty()) return empty_tuple();
  bool can_be_hashed = true;
  for (const Id item : items) can_be_hashed = can_be_hashed && hashable(item);
  const Id made = collection(Kind::tuple, items);
  document_.nodes_[made].detail = can_be_hashed ? 0 : 1;
  return made;
}

Id Builder::collection(Kind kind, Span<Id> items) {
  Extent extent{0, 0, 0};
  append_items(extent, items);
  return filled(kind, extent);
}

Id Builder::dict(Span<Id> keys_and_values) {
  Extent extent{0, 0, 0};
  append_pairs(extent, keys_and_values);
  return filled(Kind::dict, extent);
}

Document::Record& Builder::record(Id id) {
  std::uint32_t& own = document_.nodes_[id].links.own;
  if (own == kNone) {
    own = static_cast<std::uint32_t>(document_.records_.size());
    document_.records_.push({});
  }
  return document_.records_[own];
}

// Adds room for `count` values to an extent, moving it to the pool's end if something lies behind it.
template <class T>
T* Builder::lengthen(Pool<T>& pool, Extent& extent, std::size_t count) {
  const std::size_t size = extent.size + count;
  if (pool.size() + 2 * size >= kNone) input_.fail("the pickle's containers hold more than a document can");
  if (size > extent.capacity) {
    const bool at_end = std::size_t{extent.first} + extent.capacity == pool.size();
    if (extent.capacity != 0 && at_end) {
      pool.extend(size - extent.capacity);
      extent.capacity = static_cast<std::uint32_t>(size);
    } else {
      const std::size_t capacity = std::max(size, 2 * std::size_t{extent.capacity});
      T* moved = pool.extend(capacity);
      if (extent.size != 0) std::memcpy(moved, pool.data() + extent.first, extent.size * sizeof(T));
      extent.first = static_cast<std::uint32_t>(moved - pool.data());
      extent.capacity = static_cast<std::uint32_t>(capacity);
    }
  }
  T* added = pool.data() + extent.first + extent.size;
  extent.size = static_cast<std::uint32_t>(size);
  return added;
}

void Builder::append_items(Extent& extent, Span<Id> items) {
  if (items.empty()) return;
  std::memcpy(lengthen(document_.items_, extent, items.size()), items.begin(), items.size() * sizeof(Id));
}

void Builder::append_pairs(Extent& extent, Span<Id> keys_and_values) {
  static_assert(sizeof(Pair) == 2 * sizeof(Id));
  const std::size_t count = keys_and_values.size() / 2;
  if (count == 0) return;
  std::memcpy(lengthen(document_.pairs_, extent, count), keys_and_values.begin(), count * sizeof(Pair));
}

void Builder::add_items(Id id, Span<Id> items) {
  append_items(opaque(id) ? record(id).items : document_.nodes_[id].extent, items);
}

void Builder::add_pairs(Id id, Span<Id> keys_and_values) {
  append_pairs(opaque(id) ? record(id).pairs : document_.nodes_[id].extent, keys_and_values);
}

void Builder::add_build(Id id, Id state) {
  *lengthen(document_.builds_, record(id).builds, 1) = {state, input_.opcode_at()};
}

bool Builder::set_item(Id list, std::int64_t index, Id value) {
  const Extent& extent = document_.nodes_[list].extent;
  if (index < 0) index += extent.size;
  if (index < 0 || index >= extent.size) return false;
  document_.items_[extent.first + static_cast<std::size_t>(index)] = value;
  return true;
}

}  // namespace pywts::pickle
