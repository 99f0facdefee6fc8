#include "pickle/machine.hpp"

namespace pywts::pickle {

bool Document::recording(Id id) const noexcept {
  const Kind kind = nodes_[id].kind;
  return kind == Kind::global || kind == Kind::call || kind == Kind::persistent;
}

Id Document::link(Id id, Kind kind, int index) const noexcept {
  return nodes_[id].kind == kind ? nodes_[id].links.to[index] : kNone;
}

const Document::Record* Document::record(Id id) const noexcept {
  if (!recording(id) || nodes_[id].links.own == kNone) return nullptr;
  return &records_[nodes_[id].links.own];
}

std::uint64_t Document::position(Id id) const noexcept {
  const Node& node = nodes_[id];
  return std::uint64_t{node.position_high} << 32 | node.position_low;
}

std::int64_t Document::integer(Id id) const noexcept {
  const Node& node = nodes_[id];
  const bool has = node.kind == Kind::boolean || (node.kind == Kind::integer && node.detail == 0);
  return has ? node.integer : 0;
}

bool Document::big(Id id) const noexcept { return nodes_[id].kind == Kind::integer && nodes_[id].detail != 0; }

double Document::real(Id id) const noexcept { return nodes_[id].kind == Kind::real ? nodes_[id].real : 0; }

std::string_view Document::text(Id id) const noexcept {
  const Node& node = nodes_[id];
  const bool has = node.kind == Kind::bytes || node.kind == Kind::bytearray || node.kind == Kind::string || big(id);
  return has ? std::string_view(node.text.data, node.text.size) : std::string_view();
}

std::string_view Document::module(Id id) const noexcept {
  const Id text_id = link(id, Kind::global, 0);
  return text_id == kNone ? std::string_view() : text(text_id);
}

std::string_view Document::name(Id id) const noexcept {
  const Id text_id = link(id, Kind::global, 1);
  return text_id == kNone ? std::string_view() : text(text_id);
}

int Document::protocol(Id id) const noexcept { return nodes_[id].kind == Kind::global ? nodes_[id].detail : 0; }

Id Document::function(Id id) const noexcept { return link(id, Kind::call, 0); }

Id Document::arguments(Id id) const noexcept { return link(id, Kind::call, 1); }

Id Document::keywords(Id id) const noexcept { return link(id, Kind::call, 2); }

How Document::how(Id id) const noexcept {
  return nodes_[id].kind == Kind::call ? static_cast<How>(nodes_[id].detail) : How::reduce;
}

Id Document::argument(Id id) const noexcept { return link(id, Kind::persistent, 0); }

Span<Id> Document::items(Id id) const noexcept {
  const Node& node = nodes_[id];
  switch (node.kind) {
    case Kind::tuple:
    case Kind::list:
    case Kind::set:
    case Kind::frozenset:
      return {items_.data() + node.extent.first, node.extent.size};
    default:
      break;
  }
  const Record* own = record(id);
  return own == nullptr ? Span<Id>{} : Span<Id>{items_.data() + own->items.first, own->items.size};
}

Span<Pair> Document::pairs(Id id) const noexcept {
  const Node& node = nodes_[id];
  if (node.kind == Kind::dict) return {pairs_.data() + node.extent.first, node.extent.size};
  const Record* own = record(id);
  return own == nullptr ? Span<Pair>{} : Span<Pair>{pairs_.data() + own->pairs.first, own->pairs.size};
}

Span<Build> Document::builds(Id id) const noexcept {
  const Record* own = record(id);
  return own == nullptr ? Span<Build>{} : Span<Build>{builds_.data() + own->builds.first, own->builds.size};
}

}  // namespace pywts::pickle
