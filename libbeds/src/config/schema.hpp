#pragma once

#include <beds/config/problem.hpp>
#include <beds/config/settings.hpp>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

/// The one table of sections and keys. Loader, checks, printing and the reference all walk it, so a
/// key that is not here does not exist, and one that is here is read, checked, printed and
/// documented.
namespace beds::config::schema {

/// An enumeration behind its words; the word's index is the enumerator's value.
struct choice_ref {
    std::span<const std::string_view> words;
    void* target;
    std::size_t (*get)(const void* target);
    void (*set)(void* target, std::size_t index);
};

using value_ref =
    std::variant<std::string*, std::filesystem::path*, core::secret*, bool*, std::uint16_t*,
                 std::uint32_t*, std::size_t*, std::chrono::seconds*, std::chrono::milliseconds*,
                 std::optional<std::chrono::milliseconds>*, choice_ref>;

/// What a text must look like beyond being text.
struct text_rule {
    bool (*fits)(std::string_view text) = nullptr;
    std::string_view expected;
    bool tells_value = true; ///< false: what is wrong may hold a password
};

enum class unit {
    none, ///< counts and everything that is no number
    bytes
};

struct key {
    std::string_view name;
    value_ref (*at)(void* owner);
    std::string_view doc;
    /// Inclusive; milliseconds for durations. Both 0: no bounds.
    std::uint64_t low = 0;
    std::uint64_t high = 0;
    schema::unit unit = unit::none;
    text_rule rule = {};
    /// For the reference, where the default is not the value in settings.hpp.
    std::string_view default_note = {};
};

using path = std::vector<std::string>;

struct section {
    std::vector<std::string_view> pattern; ///< "*": a name that the operator chooses
    std::string_view doc;
    std::span<const key> keys;
    /// The struct behind it; made when it is not there. `where` fits the pattern.
    void* (*at)(settings& all, const path& where);
    /// All that are there.
    std::vector<path> (*list)(const settings& all);

    [[nodiscard]] const key* find(std::string_view name) const;
};

/// In the order in which they are printed.
std::span<const section> sections();

/// Does `where` begin (or equal) a path of the pattern?
bool begins(const section& candidate, const path& where);
bool matches(const section& candidate, const path& where);

/// `a.b."odd name"`.
std::string join(const path& where);
std::string join(const path& where, std::string_view key_name);
/// A TOML basic string, quotes included.
std::string quote(std::string_view text);

bool is_secret(const key& which);
/// "an integer from 1 to 65535", for messages and the reference.
std::string expected(const key& which);
/// What is wrong with a value that has the right type, or nothing. Never holds a secret.
std::optional<std::string> breaks(const key& which, const value_ref& value);

/// The value as TOML; a secret as `"***"`; nothing when it is not set (an optional without value,
/// an empty secret).
std::optional<std::string> format(const key& which, const value_ref& value);

/// "500ms", "2s", "5m", "1h"; whole numbers only.
std::optional<std::chrono::milliseconds> parse_duration(std::string_view text);
std::string format_duration(std::chrono::milliseconds value);
/// "64KiB", "16MiB", "1GiB" or plain digits.
std::optional<std::uint64_t> parse_size(std::string_view text);
std::string format_size(std::uint64_t value);

/// Problems between keys, and required keys that are empty; see `config::check`.
std::vector<problem> check_relations(const settings& all,
                                     const std::vector<std::string>& other_connections);

} // namespace beds::config::schema
