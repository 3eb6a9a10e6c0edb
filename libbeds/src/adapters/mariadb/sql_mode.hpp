#pragma once

#include <string_view>

namespace beds::adapters::mariadb {

/// Of every session, so that a statement means the same on every server; and of procedures that are
/// made for BEDS, which keep the mode that they were made in.
inline constexpr std::string_view session_sql_mode =
    "STRICT_TRANS_TABLES,STRICT_ALL_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,ERROR_FOR_DIVISION_BY_ZERO,"
    "NO_AUTO_VALUE_ON_ZERO,NO_ENGINE_SUBSTITUTION";

} // namespace beds::adapters::mariadb
