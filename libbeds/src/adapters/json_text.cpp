#include "adapters/json_text.hpp"

#include <beds/core/arena.hpp>

#include <charconv>

namespace beds::adapters {

namespace {

void append_string(std::string_view text, std::string& to) {
    static constexpr char hex[] = "0123456789abcdef";
    to += '"';
    std::size_t plain = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const auto byte = static_cast<unsigned char>(text[i]);
        if (byte >= 0x20 && byte != '"' && byte != '\\') {
            continue;
        }
        to.append(text, plain, i - plain);
        plain = i + 1;
        switch (byte) {
        case '"':
            to += "\\\"";
            break;
        case '\\':
            to += "\\\\";
            break;
        case '\n':
            to += "\\n";
            break;
        case '\r':
            to += "\\r";
            break;
        case '\t':
            to += "\\t";
            break;
        default:
            to += "\\u00";
            to += hex[byte >> 4];
            to += hex[byte & 15];
        }
    }
    to.append(text, plain);
    to += '"';
}

template <class Integer>
void append_integer(Integer number, std::string& to) {
    char digits[24];
    const auto end = std::to_chars(digits, digits + sizeof digits, number).ptr;
    to.append(digits, end);
}

} // namespace

void append_json(const core::datum& tree, std::string& to) {
    using kind = core::datum::kind;
    switch (tree.type) {
    case kind::null:
        to += "null";
        return;
    case kind::boolean:
        to += tree.boolean ? "true" : "false";
        return;
    case kind::integer:
        append_integer(tree.integer, to);
        return;
    case kind::unsigned_integer:
        append_integer(tree.unsigned_integer, to);
        return;
    case kind::number:
        to += tree.text;
        return;
    case kind::string:
        append_string(tree.text, to);
        return;
    case kind::array: {
        to += '[';
        bool first = true;
        for (const auto& item : tree.items()) {
            if (!first) {
                to += ',';
            }
            first = false;
            append_json(item, to);
        }
        to += ']';
        return;
    }
    case kind::object: {
        to += '{';
        bool first = true;
        for (const auto& member : tree.members()) {
            if (!first) {
                to += ',';
            }
            first = false;
            append_string(member.name, to);
            to += ':';
            append_json(member.value, to);
        }
        to += '}';
        return;
    }
    }
}

std::string_view json_text(const core::value& bound, core::arena& memory) {
    if (bound.type != core::value::kind::document) {
        return bound.text;
    }
    std::string text;
    append_json(*bound.document, text);
    return memory.copy(std::string_view{text});
}

} // namespace beds::adapters
