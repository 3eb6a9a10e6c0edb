#pragma once

#include <beds/templates/template_def.hpp>

#include <chrono>
#include <cstddef>
#include <optional>
#include <string_view>

namespace beds::templates {

/// Names that clients say: of templates, fields, calls, arguments, result sets.
inline constexpr std::size_t longest_name = 64;
inline constexpr std::string_view name_rule =
    "a name of lower-case letters, digits and '_' that begins with a letter, at most 64 characters";
bool is_name(std::string_view text);

/// Objects, columns and procedures: they stand in statements, so what is allowed is a whitelist.
enum class identifier { object, column, procedure, collation };
bool is_identifier(std::string_view text, identifier what, engine store);
std::string_view identifier_rule(identifier what, engine store);

/// Columns of MariaDB do not differ by case, members of MongoDB do.
bool same_column(std::string_view left, std::string_view right, engine store);

/// Words that are sent to clients as `reason`: INSUFFICIENT_FUNDS.
bool is_reason(std::string_view text);

/// Five digits or upper-case letters.
bool is_sqlstate(std::string_view text);

/// "500ms", "2s", "15m", "12h", "30d".
std::optional<std::chrono::milliseconds> parse_duration(std::string_view text);

} // namespace beds::templates
