// SPDX-License-Identifier: MIT
// Opening an LMDB database: a check of every page that will be used, then liblmdb.
#include "pictures/lmdb_file.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <utility>

namespace pictures {
namespace {

static_assert(sizeof(std::size_t) == 8 && std::endian::native == std::endian::little,
              "the check knows the layout of 64-bit little-endian databases");

// The layout of a database file, version 1. Source: mdb.c of LMDB 0.9.
constexpr std::uint16_t branch_page = 1, leaf_page = 2, meta_page = 8;  // flags of a page
constexpr std::uint16_t big_data = 1;                                   // flag of a node: in pages of its own

struct PageHeader {
  std::uint64_t number;
  std::uint16_t unused, flags;
  std::uint16_t lower, upper;  // free space of a tree page
  int nodes() const noexcept { return (lower - 16) / 2; }
};

struct Tree {
  std::uint32_t page_size;  // of the file; stands in the first tree of the two
  std::uint16_t flags, depth;
  std::uint64_t branch_pages, leaf_pages, overflow_pages, entries, root;
};

struct Meta {
  PageHeader page;
  std::uint32_t magic, version;
  std::uint64_t address, map_size;
  Tree free, main;
  std::uint64_t last_page, transaction;
};

struct Node {
  std::uint16_t low, high, flags, key_size;

  std::uint64_t value_size() const noexcept { return std::uint64_t{high} << 16 | low; }
  std::uint64_t child() const noexcept { return std::uint64_t{flags} << 32 | value_size(); }
};

static_assert(sizeof(PageHeader) == 16 && sizeof(Tree) == 48 && sizeof(Meta) == 152 && sizeof(Node) == 8);

/// Walks the tree of a database file and throws unless everything that liblmdb will follow stays within the file.
class Check {
 public:
  explicit Check(std::string path) : path_(std::move(path)), in_(path_, std::ios::binary) {
    std::error_code error;
    size_ = std::filesystem::file_size(path_, error);
    if (!in_ || error) fail("cannot be opened; check the name: an LMDB database is a folder with a data.mdb");
    const Meta first = meta(0);
    page_size_ = first.free.page_size;
    if (!std::has_single_bit(page_size_) || page_size_ < 512 || page_size_ > 65536) {
      fail("expected pages of 512 to 65536 bytes, a power of two, found " + std::to_string(page_size_));
    }
    const Meta second = meta(page_size_);
    if (second.free.page_size != page_size_) fail("expected one page size, found two");
    meta_ = first.transaction < second.transaction ? second : first;
    if (meta_.free.flags & MDB_FIXEDMAP) fail("expected a database for any address, found one for a fixed address");
    if (meta_.main.flags != 0) fail("expected plain keys and values, found flags " + std::to_string(meta_.main.flags));
    if (meta_.last_page >= std::uint64_t{1} << 32) fail("expected page numbers below 2^32, found more");
    pages_ = size_ / page_size_;
    seen_.resize(pages_);
    if (meta_.main.depth > 30) fail("expected a tree of at most 30 levels, found " + std::to_string(meta_.main.depth));
    const bool empty = meta_.main.root == ~std::uint64_t{0};
    if (!empty) walk(meta_.main.root, 1);
    if (entries_ != meta_.main.entries) {
      fail("expected the " + std::to_string(meta_.main.entries) + " records of its head, found " +
           std::to_string(entries_));
    }
  }

  std::uint64_t map_size() const noexcept { return std::max(size_, (meta_.last_page + 1) * page_size_); }

 private:
  [[noreturn]] void fail(const std::string& what) const { throw std::runtime_error(path_ + ": " + what); }
  [[noreturn]] void fail(std::uint64_t page, const std::string& what) const {
    fail("page " + std::to_string(page) + ": " + what);
  }

  void read(std::uint64_t offset, void* to, std::size_t count) {
    in_.seekg(static_cast<std::streamoff>(offset));
    in_.read(static_cast<char*>(to), static_cast<std::streamsize>(count));
    if (in_) return;
    fail("truncated: expected " + std::to_string(count) + " bytes at " + std::to_string(offset) +
         ", found the end at " + std::to_string(size_));
  }

  Meta meta(std::uint64_t offset) {
    Meta m;
    read(offset, &m, sizeof m);
    if ((m.page.flags & meta_page) == 0 || m.magic != 0xBEEFC0DE) {
      fail("expected an LMDB database, found no magic number at " + std::to_string(offset));
    }
    if (m.version != 1) fail("expected version 1 of the LMDB format, found " + std::to_string(m.version));
    return m;
  }

  void check_number(std::uint64_t number, const PageHeader& header, std::uint64_t flags) const {
    if (header.number == number && header.flags == flags) return;
    fail(number, "damaged: expected number " + std::to_string(number) + " and flags " + std::to_string(flags) +
                     " in its head, found " + std::to_string(header.number) + " and " + std::to_string(header.flags));
  }

  void check_inside(std::uint64_t number) const {
    if (number >= 2 && number <= meta_.last_page && number < pages_) return;
    fail(number,
         "damaged or truncated: expected pages 2 to " + std::to_string(std::min(meta_.last_page + 1, pages_) - 1));
  }

  void walk(std::uint64_t number, int level) {
    check_inside(number);
    if (seen_[number]) fail(number, "damaged: expected a tree, found this page in it twice");
    seen_[number] = true;
    std::vector<std::uint8_t> page(page_size_);
    read(number * page_size_, page.data(), page.size());
    PageHeader header;
    std::memcpy(&header, page.data(), sizeof header);
    const bool leaf = level == meta_.main.depth;
    check_number(number, header, leaf ? leaf_page : branch_page);
    if (header.lower > page_size_ || header.nodes() < (leaf ? 1 : 2))
      fail(number, "damaged: expected nodes, found none");
    for (int i = 0; i < header.nodes(); ++i) {
      const Node node = node_at(number, page, header.lower, i, leaf);
      if (!leaf) walk(node.child(), level + 1);
    }
    if (leaf) entries_ += static_cast<std::uint64_t>(header.nodes());
  }

  Node node_at(std::uint64_t number, const std::vector<std::uint8_t>& page, std::size_t lower, int i, bool leaf) {
    std::uint16_t start;
    std::memcpy(&start, page.data() + sizeof(PageHeader) + 2 * static_cast<std::size_t>(i), sizeof start);
    Node node{};
    const bool has_head = start >= lower && start + sizeof node <= page_size_;
    if (has_head) std::memcpy(&node, page.data() + start, sizeof node);
    const bool big = leaf && node.flags == big_data;
    const std::uint64_t value = !leaf ? 0 : big ? sizeof(std::uint64_t) : node.value_size();
    if (!has_head || start + sizeof node + node.key_size + value > page_size_) {
      fail(number, "damaged: node " + std::to_string(i) + " reaches beyond the page");
    }
    if (leaf && !big && node.flags != 0) {
      fail(number,
           "expected plain values, found flags " + std::to_string(node.flags) + " in node " + std::to_string(i));
    }
    if (big) check_overflow(page.data() + start + sizeof node + node.key_size, node.value_size());
    return node;
  }

  /// Bounds alone: liblmdb reads nothing of these pages, and there may be millions of them.
  void check_overflow(const std::uint8_t* position, std::uint64_t value) const {
    std::uint64_t number;
    std::memcpy(&number, position, sizeof number);
    check_inside(number);
    if (sizeof(PageHeader) + value <= size_ - number * page_size_) return;
    fail(number, "damaged or truncated: expected " + std::to_string(value) + " bytes of a value, found the end at " +
                     std::to_string(size_));
  }

  std::string path_;
  std::ifstream in_;
  std::uint64_t size_ = 0, page_size_ = 0, pages_ = 0, entries_ = 0;
  Meta meta_{};
  std::vector<bool> seen_{};
};

std::string database_file(const std::string& path) {
  return std::filesystem::is_directory(path) ? (std::filesystem::path(path) / "data.mdb").string() : path;
}

}  // namespace

LmdbFile::LmdbFile(const std::string& path) {
  const std::string file = database_file(path);
  const Check checked(file);
  const auto check = [&](int code) {
    if (code != MDB_SUCCESS) throw std::runtime_error(file + ": liblmdb found: " + mdb_strerror(code));
  };
  MDB_env* environment = nullptr;
  check(mdb_env_create(&environment));
  environment_.reset(environment);
  check(mdb_env_set_mapsize(environment, checked.map_size()));
  check(mdb_env_open(environment, file.c_str(), MDB_RDONLY | MDB_NOLOCK | MDB_NOTLS | MDB_NOSUBDIR, 0));
  MDB_txn* transaction = nullptr;
  check(mdb_txn_begin(environment, nullptr, MDB_RDONLY, &transaction));
  transaction_.reset(transaction);
  MDB_dbi database{};
  check(mdb_dbi_open(transaction, nullptr, 0, &database));
  MDB_cursor* cursor = nullptr;
  check(mdb_cursor_open(transaction, database, &cursor));
  const std::unique_ptr<MDB_cursor, Close> owner(cursor);
  MDB_val key{}, value{};
  int code = mdb_cursor_get(cursor, &key, &value, MDB_FIRST);
  for (; code == MDB_SUCCESS; code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) {
    records_.push_back({{static_cast<const char*>(key.mv_data), key.mv_size},
                        {static_cast<const std::uint8_t*>(value.mv_data), value.mv_size}});
  }
  if (code != MDB_NOTFOUND) check(code);
}

}  // namespace pictures
