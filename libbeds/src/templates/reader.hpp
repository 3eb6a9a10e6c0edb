#pragma once

#include "templates/keys.hpp"
#include "templates/toml/document.hpp"

#include <beds/templates/registry.hpp>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace beds::templates {

using toml_text::node;

/// Where the checks of one file say what is wrong.
class complaints {
public:
    complaints(std::filesystem::path file, std::vector<problem>& into)
        : file_(std::move(file)), into_(into) {}

    void add(std::uint32_t line, std::string key, std::string message) {
        into_.push_back({file_, line, std::move(key), std::move(message)});
    }
    [[nodiscard]] std::size_t count() const { return into_.size(); }

private:
    std::filesystem::path file_;
    std::vector<problem>& into_;
};

/// A text of the file with the place where it stands.
struct located {
    std::string text;
    std::string key;
    std::uint32_t line = 0;
};

/// Reads the keys of one table. Keys outside of `known` are complained about at once; a value of
/// another type is complained about and reads as absent.
class table_reader {
public:
    /// A null `table` reads as empty.
    table_reader(const node* table, key_table known, std::string path, complaints& out);

    [[nodiscard]] bool has(std::string_view key) const { return find(key) != nullptr; }
    [[nodiscard]] const node* find(std::string_view key) const;
    /// The key's line, or the table's when it is absent.
    [[nodiscard]] std::uint32_t line(std::string_view key) const;
    [[nodiscard]] std::string path(std::string_view key) const;
    void complain(std::string_view key, std::string message) const;

    std::optional<located> text(std::string_view key) const;
    /// As `text`; complains when it is absent.
    std::optional<located> required_text(std::string_view key, std::string_view expected) const;
    std::optional<bool> flag(std::string_view key) const;
    std::optional<std::uint32_t> integer(std::string_view key, std::uint32_t least,
                                         std::uint32_t most) const;
    std::optional<std::chrono::milliseconds> duration(std::string_view key,
                                                      std::string_view expected,
                                                      std::chrono::milliseconds least,
                                                      std::chrono::milliseconds most) const;
    const node* array(std::string_view key) const;
    /// As `array`; says how its tables are written when it is one. `header` is without brackets.
    const node* tables(std::string_view key, const std::string& header) const;
    const node* table(std::string_view key) const;
    /// Of an array's items those that are texts; the others are complained about.
    std::vector<located> texts(std::string_view key) const;

private:
    const node* typed(std::string_view key, node::kind wanted) const;

    const node* table_;
    std::string path_;
    complaints* out_;
};

/// `path.key`, with quotes where TOML needs them.
std::string join(const std::string& path, std::string_view key);
std::string at(const std::string& path, std::size_t index);
/// "expected X, found Y"
std::string expected(std::string_view wanted, node::kind found);
/// 'x', shortened when it is long, without control characters.
std::string quote(std::string_view text);

} // namespace beds::templates
