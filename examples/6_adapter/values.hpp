// How values lie in SQLite's columns, so that SQLite's own order of them is that of BEDS:
//
//   bool, int8 … int64, uint8 … uint32   INT
//   uint64                               BLOB, 8 bytes, the high one first: SQLite has no such
//   number decimal                              BLOB, 16 bytes: the number without its point, moved
//   up by
//                                        2^127 so that negative ones come first
//   double                               REAL
//   string, enum, uuid                   TEXT; compared by all of its bytes, U+0000 included
//   bytes                                BLOB
//   date, time, datetime                 INT: days, microseconds, as in `core::value`
//   json, document                       TEXT
#pragma once

#include "database.hpp"

#include <beds/core/arena.hpp>
#include <beds/core/value.hpp>

#include <optional>
#include <string_view>

namespace beds_sqlite {

std::string_view column_type(const beds::core::field_type& type);

void bind(statement& to, int place, const beds::core::value& given,
          const beds::core::field_type& type);

/// Nothing: what is stored there is not of the type. Text is a view into the row, which the next
/// step takes away, or lies in `memory`.
std::optional<beds::core::value> read(const statement& from, int column,
                                      const beds::core::field_type& type,
                                      beds::core::arena& memory);

} // namespace beds_sqlite
