#include "templates/text.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <limits>
#include <utility>

namespace beds::templates {
namespace {

bool is_lower(char c) {
    return c >= 'a' && c <= 'z';
}
bool is_upper(char c) {
    return c >= 'A' && c <= 'Z';
}
bool is_digit(char c) {
    return c >= '0' && c <= '9';
}
bool is_word(char c) {
    return is_lower(c) || is_upper(c) || is_digit(c) || c == '_';
}

bool all_of(std::string_view text, bool (*allowed)(char)) {
    return std::all_of(text.begin(), text.end(), allowed);
}

// MariaDB's limit for databases, tables, columns and procedures.
constexpr std::size_t longest_sql_name = 64;
// MongoDB: 255 bytes for database and collection together.
constexpr std::size_t longest_collection = 120;

bool is_sql_name(std::string_view text) {
    return !text.empty() && text.size() <= longest_sql_name &&
           all_of(text, [](char c) { return is_word(c) || c == '$'; });
}

bool is_sql_object(std::string_view text) {
    const auto dot = text.find('.');
    return dot == std::string_view::npos
               ? is_sql_name(text)
               : is_sql_name(text.substr(0, dot)) && is_sql_name(text.substr(dot + 1));
}

bool is_collection(std::string_view text) {
    return !text.empty() && text.size() <= longest_collection && text.front() != '.' &&
           text.back() != '.' && !text.starts_with("system.") && !text.starts_with("beds_") &&
           text.find("..") == std::string_view::npos &&
           all_of(text, [](char c) { return is_word(c) || c == '.'; });
}

bool is_stored_name(std::string_view text) {
    return !text.empty() && text.size() <= longest_sql_name && text != "_beds" &&
           all_of(text, is_word);
}

} // namespace

bool is_name(std::string_view text) {
    return !text.empty() && text.size() <= longest_name && is_lower(text.front()) &&
           all_of(text, [](char c) { return is_lower(c) || is_digit(c) || c == '_'; });
}

bool is_identifier(std::string_view text, identifier what, engine store) {
    switch (what) {
    case identifier::object:
        return store == engine::rel ? is_sql_object(text) : is_collection(text);
    case identifier::column:
        return store == engine::rel ? is_sql_name(text) : is_stored_name(text);
    case identifier::procedure:
        return is_sql_object(text);
    case identifier::collation:
        return !text.empty() && text.size() <= longest_sql_name && all_of(text, is_word);
    }
    return false;
}

bool same_column(std::string_view left, std::string_view right, engine store) {
    const auto lower = [](char c) {
        return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    };
    return store == engine::rec ? left == right
                                : std::equal(left.begin(), left.end(), right.begin(), right.end(),
                                             [&](char a, char b) { return lower(a) == lower(b); });
}

std::string_view identifier_rule(identifier what, engine store) {
    switch (what) {
    case identifier::object:
        return store == engine::rel
                   ? "letters, digits, '_' and '$', at most 64, with one dot after a schema"
                   : "letters, digits, '_' and single dots inside, at most 120, not beginning with "
                     "'system.' or 'beds_'";
    case identifier::column:
        return store == engine::rel ? "letters, digits, '_' and '$', at most 64"
                                    : "letters, digits and '_', at most 64, and not '_beds'";
    case identifier::procedure:
        return "letters, digits, '_' and '$', at most 64, with one dot after a schema";
    case identifier::collation:
        return "letters, digits and '_', at most 64";
    }
    return {};
}

bool is_reason(std::string_view text) {
    return !text.empty() && text.size() <= longest_name && is_upper(text.front()) &&
           all_of(text, [](char c) { return is_upper(c) || is_digit(c) || c == '_'; });
}

bool is_sqlstate(std::string_view text) {
    constexpr std::size_t length = 5;
    return text.size() == length && all_of(text, [](char c) { return is_upper(c) || is_digit(c); });
}

std::optional<std::chrono::milliseconds> parse_duration(std::string_view text) {
    static constexpr std::array<std::pair<std::string_view, std::int64_t>, 5> units{{
        {"ms", 1},
        {"s", 1000},
        {"m", 60'000},
        {"h", 3'600'000},
        {"d", 86'400'000},
    }};
    std::int64_t count = 0;
    const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), count);
    if (failure != std::errc{} || count < 0) {
        return std::nullopt;
    }
    const std::string_view unit{end, static_cast<std::size_t>(text.data() + text.size() - end)};
    for (const auto& [name, milliseconds] : units) {
        if (unit == name) {
            if (count > std::numeric_limits<std::int64_t>::max() / milliseconds) {
                return std::nullopt;
            }
            return std::chrono::milliseconds{count * milliseconds};
        }
    }
    return std::nullopt;
}

} // namespace beds::templates
