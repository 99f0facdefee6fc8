#include "zip/directory.hpp"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <set>
#include <string>
#include <system_error>
#include <utility>

namespace pywts::zip {
namespace {

constexpr std::size_t kCentral = 46;  // bytes of a record without its name, extra field and comment
constexpr std::size_t kLocal = 30;
constexpr std::size_t kWindow = 4096;  // of headers with storages between them one is read for the sake of itself
constexpr std::size_t kWidest = 65536;
constexpr std::uint16_t kEncrypted = 0x1, kStreamed = 0x8;
constexpr std::uint32_t kInZip64 = 0xffffffffu;

template <class Integer>
Integer little(const char* bytes) noexcept {
  Integer value = 0;
  for (std::size_t i = 0; i < sizeof(Integer); ++i) {
    value =
        static_cast<Integer>(value | static_cast<Integer>(Integer{static_cast<unsigned char>(bytes[i])} << (8 * i)));
  }
  return value;
}

// The 8-byte figures of the zip64 extra field, in the place of those that are all ones.
void take_zip64(std::string_view extra, Entry& entry) noexcept {
  while (extra.size() >= 4) {
    const auto kind = little<std::uint16_t>(extra.data());
    std::string_view field = extra.substr(4, little<std::uint16_t>(extra.data() + 2));
    if (kind == 1) {
      for (std::uint64_t* figure : {&entry.size, &entry.packed, &entry.header}) {
        if (*figure != kInZip64 || field.size() < 8) continue;
        *figure = little<std::uint64_t>(field.data());
        field.remove_prefix(8);
      }
      return;
    }
    extra.remove_prefix(4 + field.size());
  }
}

std::size_t common(std::string_view a, std::string_view b) noexcept {
  const std::size_t most = std::min(a.size(), b.size());
  std::size_t same = 0;
  while (same < most && a[same] == b[same]) ++same;
  return same;
}

// The first eight characters as a number that is ordered as they are.
std::uint64_t leading(std::string_view text) noexcept {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < 8; ++i) {
    value = value << 8 | (i < text.size() ? static_cast<unsigned char>(text[i]) : 0u);
  }
  return value;
}

bool is_upper(char letter) noexcept { return letter >= 'A' && letter <= 'Z'; }

std::string lower(std::string_view text) {
  std::string all(text);
  for (char& letter : all) {
    if (is_upper(letter)) letter = static_cast<char>(letter - 'A' + 'a');
  }
  return all;
}

}  // namespace

Directory::Directory(std::string_view records, std::uint64_t at, std::uint64_t count) : at_(at) {
  read(records, count);
  check_overlaps();
  index_names();
}

void Directory::read(std::string_view records, std::uint64_t count) {
  if (records.size() / kCentral < count) {
    throw Error("the directory has " + std::to_string(records.size()) + " bytes, too few for " + std::to_string(count) +
                " files");
  }
  entries_.reserve(static_cast<std::size_t>(count));
  for (std::uint64_t i = 0; i < count; ++i) {
    const char* record = records.data();
    const bool whole = records.size() >= kCentral && std::memcmp(record, "PK\1\2", 4) == 0;
    const std::size_t name = whole ? little<std::uint16_t>(record + 28) : 0;
    const std::size_t extra = whole ? little<std::uint16_t>(record + 30) : 0;
    const std::size_t all = kCentral + name + extra + (whole ? little<std::uint16_t>(record + 32) : 0u);
    if (!whole || all > records.size()) {
      throw Error("the directory's record " + std::to_string(i) + " of " + std::to_string(count) + " is broken");
    }
    Entry entry{records.substr(kCentral, name),     little<std::uint32_t>(record + 20),
                little<std::uint32_t>(record + 24), little<std::uint32_t>(record + 42),
                little<std::uint32_t>(record + 16), little<std::uint16_t>(record + 10)};
    take_zip64(records.substr(kCentral + name, extra), entry);
    if ((little<std::uint16_t>(record + 8) & kEncrypted) != 0) {
      throw Error("{} is encrypted; decrypt the archive first", entry.name, {}, false);
    }
    if (entry.method != kStored && entry.method != kDeflated) {
      throw Error("{} is compressed by method " + std::to_string(entry.method) +
                      "; torch stores or deflates: unpack the archive and save the checkpoint again",
                  entry.name, {}, false);
    }
    if (entry.method == kStored && entry.size != entry.packed) {
      throw Error(
          "{} is stored, yet has two sizes: " + std::to_string(entry.packed) + " and " + std::to_string(entry.size),
          entry.name);
    }
    const std::uint64_t head = kLocal + name;
    if (little<std::uint16_t>(record + 34) != 0 || entry.header > at_ || head > at_ - entry.header ||
        entry.packed > at_ - entry.header - head) {
      throw Error("{} lies outside the file", entry.name);
    }
    entries_.push_back(entry);
    records.remove_prefix(all);
  }
  if (records.size() >= 4 && std::memcmp(records.data(), "PK\1\2", 4) == 0) {  // other readers go on to its end
    throw Error("the directory goes on after its " + std::to_string(count) + " files");
  }
}

void Directory::check_overlaps() {
  const auto before = [](const Entry* a, const Entry* b) { return a->header < b->header; };
  std::vector<Entry*> sorted;
  sorted.reserve(entries_.size());
  for (Entry& entry : entries_) sorted.push_back(&entry);
  if (!std::is_sorted(sorted.begin(), sorted.end(), before)) std::stable_sort(sorted.begin(), sorted.end(), before);
  Entry* previous = nullptr;
  for (Entry* entry : sorted) {
    if (previous != nullptr && entry->header < previous->header + kLocal + previous->name.size() + previous->packed) {
      throw Error("{} overlaps {}", entry->name, previous->name);
    }
    if (previous != nullptr) previous->end = entry->header;
    entry->end = at_;
    previous = entry;
  }
}

// Names have a folder in common and differ in the few characters after it: those are compared as one number.
void Directory::index_names() {
  const auto name = [this](std::uint32_t i) { return entries_[i].name; };
  std::size_t shared = entries_.empty() ? 0 : name(0).size();
  for (const Entry& entry : entries_) shared = common(name(0).substr(0, shared), entry.name);
  struct Key {
    std::uint64_t start;
    std::uint32_t entry;
  };
  std::vector<Key> keys;
  keys.reserve(entries_.size());
  for (std::uint32_t i = 0; i < entries_.size(); ++i) keys.push_back({leading(name(i).substr(shared)), i});
  std::sort(keys.begin(), keys.end(), [&](const Key& a, const Key& b) {
    return a.start != b.start ? a.start < b.start : name(a.entry) < name(b.entry);
  });
  by_name_.reserve(keys.size());
  for (const Key& key : keys) by_name_.push_back(key.entry);
  const auto twice = std::adjacent_find(by_name_.begin(), by_name_.end(),
                                        [&](std::uint32_t a, std::uint32_t b) { return name(a) == name(b); });
  if (twice != by_name_.end()) throw Error("two files have the name {}", name(*twice));
}

const Entry* Directory::find(std::string_view name) const noexcept {
  const auto found =
      std::lower_bound(by_name_.begin(), by_name_.end(), name,
                       [this](std::uint32_t i, std::string_view wanted) { return entries_[i].name < wanted; });
  if (found == by_name_.end() || entries_[*found].name != name) return nullptr;
  return &entries_[*found];
}

const Entry* Directory::in_other_case(std::string_view folder) const {
  const std::string wanted = lower(folder);
  std::vector<const Entry*> below;
  bool cased = false;
  for (const Entry& entry : entries_) {
    const std::string_view inside = entry.name.substr(std::min(folder.size(), entry.name.size()));
    const bool exact = entry.name.substr(0, folder.size()) == folder;
    if (!exact && lower(entry.name.substr(0, folder.size())) != wanted) continue;
    below.push_back(&entry);
    if (exact && std::none_of(inside.begin(), inside.end(), is_upper)) continue;
    const std::string plain = lower(inside);
    const bool storage = plain.compare(0, 5, "data/") == 0 && !(exact && inside.compare(0, 5, "data/") == 0);
    if (plain == "data.pkl" || plain == "byteorder" || storage) return &entry;
    cased = true;
  }
  if (!cased) return nullptr;
  std::set<std::string> names;
  for (const Entry* entry : below) {
    if (!names.insert(lower(entry->name)).second) return entry;
  }
  return nullptr;
}

std::uint64_t Directory::locate(const Entry& entry, Window& file) const {
  const auto read = [&](std::size_t size) {
    const char* header = file.bytes(entry.header, size);
    if (header == nullptr && file.failure() != 0) {
      throw Error("the header of {} cannot be read: " + std::generic_category().message(file.failure()), entry.name, {},
                  false);
    }
    if (header == nullptr) throw Error("the header of {} cannot be read: the file ends before", entry.name);
    return header;
  };
  const std::size_t length = kLocal + entry.name.size();
  const char* header = read(length);
  const auto place = [&] { return " at byte " + std::to_string(entry.header); };
  if (std::memcmp(header, "PK\3\4", 4) != 0)
    throw Error("there is no file header" + place() + ", where {} should be", entry.name);
  const std::size_t name = little<std::uint16_t>(header + 26);
  if (name != entry.name.size() || std::string_view(header + kLocal, name) != entry.name) {
    throw Error("the header" + place() + " has another name than {}", entry.name);
  }
  const auto flags = little<std::uint16_t>(header + 6);
  const auto method = little<std::uint16_t>(header + 8);
  const std::size_t extra = little<std::uint16_t>(header + 28);
  Entry told{{}, little<std::uint32_t>(header + 18), little<std::uint32_t>(header + 22), 0, 0, method};
  if (told.packed == kInZip64 || told.size == kInZip64) {
    take_zip64(std::string_view(read(length + extra) + length, extra), told);
  }
  // The sizes may follow the data; zip -r - tells one before.
  const bool follow = (flags & kStreamed) != 0 && told.packed == 0 && (told.size == 0 || told.size == entry.size);
  const bool same = follow || (told.packed == entry.packed && told.size == entry.size);
  if (!same || (flags & kEncrypted) != 0 || method != entry.method) {
    throw Error("the header of {}" + place() + " contradicts the directory", entry.name);
  }
  const std::uint64_t data = entry.header + length + extra;
  if (data > entry.end || entry.packed > entry.end - data) {
    throw Error(entry.end == at_ ? "{} reaches into the directory" : "{} reaches into the file after it", entry.name);
  }
  return data;
}

const char* Window::bytes(std::uint64_t at, std::size_t size) {
  if (at < at_ || at - at_ > held_.size() || size > held_.size() - (at - at_)) {
    const bool close = at >= at_ && at - at_ < held_.size() + kWindow;
    ahead_ = close ? std::clamp(2 * ahead_, kWindow, kWidest) : kWindow;
    held_.resize(std::max(size, ahead_));
    at_ = at;
    std::size_t done = 0;
    while (done < size) {
      const ssize_t got = pread(file_, held_.data() + done, held_.size() - done, static_cast<off_t>(at + done));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) failure_ = errno;
      if (got <= 0) break;
      done += static_cast<std::size_t>(got);
    }
    held_.resize(done);
    if (done < size) return nullptr;
  }
  return held_.data() + (at - at_);
}

}  // namespace pywts::zip
