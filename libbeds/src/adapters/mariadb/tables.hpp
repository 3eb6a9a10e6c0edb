#pragma once

#include <string_view>

namespace beds::adapters::mariadb {

/// The text of libbeds/sql/mariadb/inbox.sql: one statement that makes `beds_inbox` where it is
/// missing.
extern const std::string_view inbox_table;

} // namespace beds::adapters::mariadb
