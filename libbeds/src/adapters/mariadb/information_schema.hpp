#pragma once

#include "adapters/mariadb/connection.hpp"

#include <functional>
#include <span>
#include <string>
#include <string_view>

namespace beds::adapters::mariadb {

struct qualified_name {
    std::string schema; ///< empty: the session's
    std::string name;
};

/// `name` or `schema.name`.
qualified_name split(std::string_view qualified);

/// Runs a question whose two `?` are schema and name, and hands over each row's cells, which are
/// texts or NULL. False: the connection's `error()` says why.
bool ask(connection& from, std::string_view text, const qualified_name& about,
         const std::function<void(std::span<const raw_cell>)>& row);

/// "" for NULL.
std::string text_of(const raw_cell& cell);

/// Names of the server are compared without case.
std::string lower(std::string text);

} // namespace beds::adapters::mariadb
