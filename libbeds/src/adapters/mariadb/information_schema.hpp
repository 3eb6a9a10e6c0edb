#pragma once

#include "adapters/mariadb/connection.hpp"
#include "adapters/mariadb/query.hpp"

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

/// A procedure or function by the name that templates keep: that of a function ends with `()`.
struct routine_name {
    qualified_name name;
    bool function = false;
    /// As information_schema has it.
    [[nodiscard]] std::string_view type() const { return function ? "FUNCTION" : "PROCEDURE"; }
};
routine_name routine_of(std::string_view kept);

/// Runs a question whose two `?` are schema and name, and hands over each row's cells, which are
/// texts or NULL. False: the connection's `error()` says why.
bool ask(connection& from, std::string_view text, const qualified_name& about,
         const std::function<void(std::span<const raw_cell>)>& row);

/// The same for any question.
bool ask(connection& from, const query& asked,
         const std::function<void(std::span<const raw_cell>)>& row);

/// "" for NULL.
std::string text_of(const raw_cell& cell);

/// Names of the server are compared without case.
std::string lower(std::string text);

} // namespace beds::adapters::mariadb
