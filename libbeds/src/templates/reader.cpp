#include "templates/reader.hpp"

#include "templates/text.hpp"

#include <beds/core/error.hpp>

#include <algorithm>
#include <cassert>

namespace beds::templates {

std::string join(const std::string& path, std::string_view key) {
    const bool bare = !key.empty() && std::all_of(key.begin(), key.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '_' || c == '-';
    });
    std::string joined = path.empty() ? std::string{} : path + '.';
    if (bare) {
        joined += key;
    } else {
        joined += quote(key);
    }
    return joined;
}

std::string at(const std::string& path, std::size_t index) {
    return path + '[' + std::to_string(index) + ']';
}

std::string expected(std::string_view wanted, node::kind found) {
    return "expected " + std::string{wanted} + ", found " + std::string{describe(found)};
}

std::string quote(std::string_view text) {
    constexpr std::size_t longest = 80;
    std::string out = "'";
    for (const char c : text.substr(0, longest)) {
        out += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c;
    }
    if (text.size() > longest) {
        out += "…";
    }
    out += '\'';
    return out;
}

table_reader::table_reader(const node* table, key_table known, std::string path, complaints& out)
    : table_(table), path_(std::move(path)), out_(&out) {
    if (table_ == nullptr) {
        return;
    }
    std::vector<std::string> names;
    for (const key_row& row : known) {
        names.emplace_back(row.name);
    }
    for (const toml_text::member& each : table_->members) {
        if (std::find(names.begin(), names.end(), each.name) == names.end()) {
            const auto hint = core::did_you_mean(each.name, names);
            std::string message = "unknown key";
            if (hint.empty()) {
                message += "; known here: ";
                for (std::size_t i = 0; i < names.size(); ++i) {
                    message += (i == 0 ? "" : ", ") + names[i];
                }
            }
            out_->add(each.line, join(path_, each.name), message + hint);
        }
    }
}

const node* table_reader::find(std::string_view key) const {
    return table_ == nullptr ? nullptr : table_->find(key);
}

std::uint32_t table_reader::line(std::string_view key) const {
    const node* found = find(key);
    if (found != nullptr) {
        return found->line;
    }
    return table_ == nullptr ? 0 : table_->line;
}

std::string table_reader::path(std::string_view key) const {
    return join(path_, key);
}

void table_reader::complain(std::string_view key, std::string message) const {
    out_->add(line(key), path(key), std::move(message));
}

const node* table_reader::typed(std::string_view key, node::kind wanted) const {
    const node* found = find(key);
    if (found == nullptr) {
        return nullptr;
    }
    if (!found->is(wanted)) {
        complain(key, expected(describe(wanted), found->type));
        return nullptr;
    }
    return found;
}

std::optional<located> table_reader::text(std::string_view key) const {
    const node* found = typed(key, node::kind::text);
    if (found == nullptr) {
        return std::nullopt;
    }
    return located{found->text, path(key), found->line};
}

std::optional<located> table_reader::required_text(std::string_view key,
                                                   std::string_view wanted) const {
    if (!has(key)) {
        complain(key, "missing; expected " + std::string{wanted});
        return std::nullopt;
    }
    return text(key);
}

std::optional<bool> table_reader::flag(std::string_view key) const {
    const node* found = typed(key, node::kind::boolean);
    return found == nullptr ? std::nullopt : std::optional{found->boolean};
}

std::optional<std::uint32_t> table_reader::integer(std::string_view key, std::uint32_t least,
                                                   std::uint32_t most) const {
    const node* found = typed(key, node::kind::integer);
    if (found == nullptr) {
        return std::nullopt;
    }
    if (found->integer < least || found->integer > most) {
        complain(key, "expected an integer from " + std::to_string(least) + " to " +
                          std::to_string(most) + ", found " + std::to_string(found->integer));
        return std::nullopt;
    }
    return static_cast<std::uint32_t>(found->integer);
}

std::optional<std::chrono::milliseconds>
table_reader::duration(std::string_view key, std::string_view wanted,
                       std::chrono::milliseconds least, std::chrono::milliseconds most) const {
    const node* given = find(key);
    if (given == nullptr) {
        return std::nullopt;
    }
    const auto form = std::string{wanted} + " as a number with ms, s, m, h or d";
    if (!given->is(node::kind::text)) {
        complain(key, expected(form + " in quotes, for example \"2s\"", given->type));
        return std::nullopt;
    }
    const auto parsed = parse_duration(given->text);
    if (!parsed || *parsed < least || *parsed > most) {
        complain(key, "expected " + form + ", found " + quote(given->text));
        return std::nullopt;
    }
    return parsed;
}

const node* table_reader::array(std::string_view key) const {
    return typed(key, node::kind::array);
}

const node* table_reader::tables(std::string_view key, const std::string& header) const {
    const node* found = find(key);
    if (found != nullptr && found->is(node::kind::table)) {
        complain(key,
                 expected(describe(node::kind::array), found->type) + "; write [[" + header + "]]");
        return nullptr;
    }
    return array(key);
}

const node* table_reader::table(std::string_view key) const {
    return typed(key, node::kind::table);
}

std::vector<located> table_reader::texts(std::string_view key) const {
    std::vector<located> found;
    const node* list = array(key);
    if (list == nullptr) {
        return found;
    }
    for (std::size_t i = 0; i < list->items.size(); ++i) {
        const node& item = list->items[i];
        const auto item_path = at(path(key), i);
        if (!item.is(node::kind::text)) {
            out_->add(item.line, item_path, expected("text", item.type));
            continue;
        }
        found.push_back({item.text, item_path, item.line});
    }
    return found;
}

} // namespace beds::templates
