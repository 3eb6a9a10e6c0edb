#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace beds::templates::toml_text {

struct member;

/// One value of a TOML text with the line it stands on. Unlike the library's tables, ours keep the
/// order of the file.
struct node {
    enum class kind : std::uint8_t { boolean, integer, real, text, temporal, array, table };

    kind type = kind::table;
    std::uint32_t line = 0;
    bool boolean = false;
    std::int64_t integer = 0;
    double real = 0;
    std::string text; ///< text; temporal: as TOML writes it
    std::vector<node> items;
    std::vector<member> members;

    [[nodiscard]] bool is(kind wanted) const { return type == wanted; }
    /// Null when there is no such key.
    [[nodiscard]] const node* find(std::string_view name) const;
};

struct member {
    std::string name;
    std::uint32_t line = 0;
    node value;
};

/// "text", "an integer", … for messages.
std::string_view describe(node::kind type);

struct syntax_error {
    std::uint32_t line = 0;
    std::string message;
};

/// The root table, or the first thing that is not TOML.
std::variant<node, syntax_error> parse(std::string_view text);

} // namespace beds::templates::toml_text
