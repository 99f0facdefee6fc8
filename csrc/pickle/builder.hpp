// Makes a document's nodes and fills them, within the limits.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "pickle/input.hpp"
#include "pickle/machine.hpp"

namespace pywts::pickle {

class Builder {
 public:
  Builder(Document& document, const Input& input, const Limits& limits);

  // The texts stay where they are; `keep` copies one to where the document keeps it.
  Id small(Kind kind, std::int64_t value);  // an integer, a boolean, None
  Id big(std::string_view bytes);
  Id real(double value);
  Id text(Kind kind, std::string_view text);
  std::string_view keep(std::string_view text);

  Id empty_tuple();
  Id tuple(Span<Id> items);
  Id collection(Kind kind, Span<Id> items);  // a list, set or frozenset
  Id dict(Span<Id> keys_and_values);

  Id global(Id module, Id name);
  Id call(How how, Id function, Id arguments, Id keywords);
  Id persistent(Id argument);

  void set_protocol(int protocol) noexcept { document_.protocol_ = protocol; }
  void finish(Id root, std::uint64_t end) noexcept {
    document_.root_ = root;
    document_.end_ = end;
  }

  Kind kind(Id id) const noexcept { return document_.nodes_[id].kind; }
  // A global, a call or a persistent id: what it is, and what it can do, only running would tell.
  bool opaque(Id id) const noexcept { return document_.recording(id); }
  bool hashable(Id id) const noexcept;

  void add_items(Id id, Span<Id> items);  // to a list, a set or an opaque node
  void add_pairs(Id id, Span<Id> keys_and_values);
  void add_build(Id id, Id state);
  bool set_item(Id list, std::int64_t index, Id value);  // false: the list has no such item

 private:
  using Node = Document::Node;
  using Extent = Document::Extent;

  Node& make(Kind kind);
  Id last() const noexcept { return static_cast<Id>(document_.nodes_.size() - 1); }
  Id links(Kind kind, Id first, Id second, Id third, std::uint8_t detail);
  Id filled(Kind kind, const Extent& extent);
  Document::Record& record(Id id);
  template <class T>
  T* lengthen(Pool<T>& pool, Extent& extent, std::size_t count);
  void append_items(Extent& extent, Span<Id> items);
  void append_pairs(Extent& extent, Span<Id> keys_and_values);

  Document& document_;
  const Input& input_;
  std::uint64_t most_nodes_;

  static constexpr std::size_t kRecent = 1024;
  std::array<Id, kRecent> recent_;  // what small() made last, each where its value puts it
  Id empty_tuple_ = kNone;
  char* kept_ = nullptr;  // free room in the last block of document_.texts_
  std::size_t kept_room_ = 0;
};

inline Builder::Node& Builder::make(Kind kind) {
  if (document_.nodes_.size() >= most_nodes_) input_.fail("the pickle makes more objects than the limit allows");
  Node& node = *document_.nodes_.extend(1);
  node.position_low = static_cast<std::uint32_t>(input_.opcode_at());
  node.position_high = static_cast<std::uint16_t>(input_.opcode_at() >> 32);
  node.kind = kind;
  node.detail = 0;
  return node;
}

// Pickles hold the same few numbers again and again (sizes, strides, offsets), so near ones share a node.
inline Id Builder::small(Kind kind, std::int64_t value) {
  const std::size_t slot = (static_cast<std::uint64_t>(value) + static_cast<std::size_t>(kind) * 256) % kRecent;
  Id& recent = recent_[slot];
  if (recent == kNone || document_.nodes_[recent].integer != value || this->kind(recent) != kind) {
    make(kind).integer = value;
    recent = last();
  }
  return recent;
}

inline Id Builder::text(Kind kind, std::string_view text) {
  make(kind).text = {text.data(), text.size()};
  return last();
}

}  // namespace pywts::pickle
