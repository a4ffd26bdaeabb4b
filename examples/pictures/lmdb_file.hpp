// SPDX-License-Identifier: MIT
// The records of an LMDB database.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <lmdb.h>

namespace pictures {

/// A database opened for reading, and its records in the order of the keys. They lie in the mapped file: the database
/// must not be changed while it is open. No lock file is made.
class LmdbFile {
 public:
  struct Record {
    std::string_view key{};
    std::span<const std::uint8_t> value{};
  };

  /// `path`: the folder of a data.mdb, or a database file. Throws std::runtime_error naming the file and page, what was
  /// expected and what was found; the pages are checked first, because liblmdb trusts them.
  explicit LmdbFile(const std::string& path);

  std::span<const Record> records() const noexcept { return records_; }

 private:
  struct Close {
    void operator()(MDB_env* e) const noexcept { mdb_env_close(e); }
    void operator()(MDB_txn* t) const noexcept { mdb_txn_abort(t); }
    void operator()(MDB_cursor* c) const noexcept { mdb_cursor_close(c); }
  };

  std::unique_ptr<MDB_env, Close> environment_{};
  std::unique_ptr<MDB_txn, Close> transaction_{};
  std::vector<Record> records_{};
};

}  // namespace pictures
