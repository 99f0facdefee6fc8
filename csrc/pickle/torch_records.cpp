#include "pickle/torch_records.hpp"

#include <algorithm>
#include <array>
#include <cstddef>

namespace pywts::pickle {
namespace {

constexpr std::size_t kMostAxes = 64;
constexpr std::size_t kMostAttributes = 4096;  // a module has some dozens
constexpr std::size_t kMostEntries = 500'000;
constexpr std::int64_t kTooMuch = std::int64_t{1} << 62;

bool natural(const Document& document, Id id) {
  return document.kind(id) == Kind::integer && !document.big(id) && document.integer(id) >= 0;
}

bool naturals(const Document& document, Id id) {
  if (document.kind(id) != Kind::tuple) return false;
  const auto items = document.items(id);
  return items.size() <= kMostAxes &&
         std::all_of(items.begin(), items.end(), [&](Id i) { return natural(document, i); });
}

// The arguments of a call, where they are a tuple: of what else there may be, only running would tell.
Span<Id> arguments_of(const Document& document, Id call) {
  const Id arguments = document.arguments(call);
  return arguments == kNone || document.kind(arguments) != Kind::tuple ? Span<Id>{} : document.items(arguments);
}

// The entries of a dict, or of an OrderedDict() that was filled afterwards.
std::optional<Span<Pair>> entries(const Document& document, Id id) {
  if (id == kNone) return std::nullopt;
  const Kind kind = document.kind(id);
  if (kind == Kind::call) {
    const Id function = document.function(id);
    if (document.kind(function) != Kind::global || document.name(function) != "OrderedDict" ||
        document.module(function) != "collections" || document.keywords(id) != kNone) {
      return std::nullopt;
    }
    const Id arguments = document.arguments(id);
    if (arguments == kNone || document.kind(arguments) != Kind::tuple || !document.items(arguments).empty()) {
      return std::nullopt;
    }
  } else if (kind != Kind::dict) {
    return std::nullopt;
  }
  const auto pairs = document.pairs(id);
  if (pairs.size() > kMostEntries) return std::nullopt;
  return pairs;
}

// Entries under distinct names, those that are None only counted; false where they are anything else.
bool add_named(const Document& document, Id id, std::vector<Pair>& result, std::size_t& count) {
  const auto found = entries(document, id);
  if (!found) return false;
  count += found->size();
  const std::size_t first = result.size();
  std::vector<std::string_view> names;
  names.reserve(found->size());
  for (const Pair& entry : *found) {
    if (document.kind(entry.key) != Kind::string) return false;
    names.push_back(document.text(entry.key));
    if (document.kind(entry.value) != Kind::none) result.push_back(entry);
  }
  std::sort(names.begin(), names.end());
  if (std::adjacent_find(names.begin(), names.end()) == names.end()) return true;
  result.resize(first);
  return false;
}

bool absent_or_empty_set(const Document& document, Id id) {
  if (id == kNone) return true;
  switch (document.kind(id)) {
    case Kind::set:
      return document.items(id).empty();
    case Kind::call: {  // set([]) of protocol 2
      const Id function = document.function(id);
      if (document.kind(function) != Kind::global || document.name(function) != "set") return false;
      const std::string_view module = document.module(function);
      if (module != "builtins" && module != "__builtin__") return false;
      const Id arguments = document.arguments(id);
      if (arguments == kNone || document.kind(arguments) != Kind::tuple) return false;
      const auto given = document.items(arguments);
      return document.items(id).empty() && document.builds(id).empty() &&
             (given.empty() ||
              (given.size() == 1 && document.kind(given[0]) == Kind::list && document.items(given[0]).empty()));
    }
    default:
      return false;
  }
}

enum Table : std::size_t { parameters, buffers, modules, transient, hooks, pre_hooks, kTables };
constexpr std::array<std::string_view, kTables> kTableNames = {
    "_parameters", "_buffers", "_modules", "_non_persistent_buffers_set", "_state_dict_hooks", "_state_dict_pre_hooks"};

}  // namespace

std::optional<StorageRecord> storage_record(const Document& document, Id id) {
  if (document.kind(id) != Kind::persistent) return std::nullopt;
  const Id argument = document.argument(id);
  if (document.kind(argument) != Kind::tuple) return std::nullopt;
  const auto parts = document.items(argument);
  if (parts.size() < 5 || parts.size() > 6) return std::nullopt;
  const std::string_view module = document.module(parts[1]);
  if (document.kind(parts[0]) != Kind::string || document.text(parts[0]) != "storage" ||
      (module != "torch" && module != "torch.storage") || document.kind(parts[2]) != Kind::string ||
      !natural(document, parts[4])) {
    return std::nullopt;
  }
  StorageRecord record{document.name(parts[1]), document.text(parts[2]), document.integer(parts[4]), std::nullopt};
  if (parts.size() == 6 && document.kind(parts[5]) != Kind::none) {
    const auto window = document.items(parts[5]);
    if (document.kind(parts[5]) != Kind::tuple || window.size() != 3 || !natural(document, window[1]) ||
        !natural(document, window[2])) {
      return std::nullopt;
    }
    record.view.emplace(document.integer(window[1]), document.integer(window[2]));
  }
  return record;
}

Id without_parameter(const Document& document, Id id) {
  if (document.kind(id) != Kind::call) return id;
  const Id function = document.function(id);
  if (function == kNone || document.name(function) != "_rebuild_parameter" ||
      document.module(function) != "torch._utils") {
    return id;
  }
  const auto arguments = arguments_of(document, id);
  return arguments.empty() ? id : arguments[0];
}

std::optional<TensorRecord> tensor_record(const Document& document, Id id) {
  if (document.kind(id) != Kind::call) return std::nullopt;
  const Id function = document.function(id);
  if (function == kNone || document.name(function) != "_rebuild_tensor_v2" ||
      document.module(function) != "torch._utils") {
    return std::nullopt;
  }
  const auto arguments = arguments_of(document, id);
  if (arguments.size() != 6 || !natural(document, arguments[1]) || !naturals(document, arguments[2]) ||
      !naturals(document, arguments[3])) {
    return std::nullopt;
  }
  const auto storage = storage_record(document, arguments[0]);
  const auto shape = document.items(arguments[2]);
  const auto strides = document.items(arguments[3]);
  if (!storage || shape.size() != strides.size()) return std::nullopt;
  TensorRecord record{*storage, document.integer(arguments[1]), shape, strides, 1, document.integer(arguments[1])};
  for (std::size_t axis = 0; axis < shape.size(); ++axis) {
    const std::int64_t size = document.integer(shape[axis]);
    std::int64_t reach = 0;
    if (__builtin_mul_overflow(record.numel, size, &record.numel) ||
        __builtin_mul_overflow(size == 0 ? 0 : size - 1, document.integer(strides[axis]), &reach) ||
        __builtin_add_overflow(record.last, reach, &record.last) || record.last >= kTooMuch) {
      return std::nullopt;
    }
  }
  if (record.numel >= kTooMuch || record.last >= kTooMuch) return std::nullopt;
  return record;
}

std::optional<ModuleRecord> module_record(const Document& document, Id id) {
  if (document.kind(id) != Kind::call) return std::nullopt;
  const auto builds = document.builds(id);
  if (builds.size() != 1 || document.kind(builds[0].state) != Kind::dict) return std::nullopt;
  const auto attributes = document.pairs(builds[0].state);
  if (attributes.size() > kMostAttributes) return std::nullopt;
  std::array<Id, kTables> tables;
  tables.fill(kNone);
  for (const Pair& attribute : attributes) {
    if (document.kind(attribute.key) != Kind::string) continue;
    const std::string_view name = document.text(attribute.key);
    const auto* const known = std::find(kTableNames.begin(), kTableNames.end(), name);
    if (known == kTableNames.end()) continue;
    Id& table = tables[static_cast<std::size_t>(known - kTableNames.begin())];
    if (table != kNone) return std::nullopt;
    table = attribute.value;
  }
  ModuleRecord record{};
  if (!add_named(document, tables[parameters], record.tensors, record.entries) ||
      !add_named(document, tables[buffers], record.tensors, record.entries) ||
      !add_named(document, tables[modules], record.children, record.entries) ||
      !absent_or_empty_set(document, tables[transient])) {
    return std::nullopt;
  }
  for (const Id table : {tables[hooks], tables[pre_hooks]}) {
    if (table == kNone) continue;
    const auto registered = entries(document, table);
    if (!registered) return std::nullopt;
    record.hooked = record.hooked || !registered->empty();
  }
  return record;
}

}  // namespace pywts::pickle
