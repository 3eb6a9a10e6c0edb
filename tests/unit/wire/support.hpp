#pragma once

#include <beds/core/arena.hpp>
#include <beds/core/json.hpp>
#include <beds/core/operation.hpp>

#include <fstream>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>

namespace beds::test {

inline std::string json_of(const core::datum& tree) {
    std::string text;
    core::append_json(text, tree);
    return text;
}

inline std::string json_of(const core::datum* tree) {
    return tree == nullptr ? std::string{"(absent)"} : json_of(*tree);
}

/// Same tree: kinds, order of members, and the tokens of numbers.
inline bool same(const core::datum& left, const core::datum& right) {
    using kind = core::datum::kind;
    if (left.type != right.type) {
        return false;
    }
    switch (left.type) {
    case kind::null:
        return true;
    case kind::boolean:
        return left.boolean == right.boolean;
    case kind::integer:
        return left.integer == right.integer;
    case kind::unsigned_integer:
        return left.unsigned_integer == right.unsigned_integer;
    case kind::number:
    case kind::string:
        return left.text == right.text;
    case kind::array:
        if (left.count != right.count) {
            return false;
        }
        for (std::size_t i = 0; i < left.count; ++i) {
            if (!same(left.items()[i], right.items()[i])) {
                return false;
            }
        }
        return true;
    case kind::object:
        if (left.count != right.count) {
            return false;
        }
        for (std::size_t i = 0; i < left.count; ++i) {
            const auto& a = left.members()[i];
            const auto& b = right.members()[i];
            if (a.name != b.name || !same(a.value, b.value)) {
                return false;
            }
        }
        return true;
    }
    return false;
}

inline bool same(const core::datum* left, const core::datum* right) {
    return left == nullptr || right == nullptr ? left == right : same(*left, *right);
}

/// Reads one of the files of libbeds/protocol; `text` must live as long as the tree.
inline std::string read_protocol_file(const std::string& name) {
    std::ifstream file{std::string{BEDS_PROTOCOL_DIR "/"} + name, std::ios::binary};
    if (!file) {
        throw std::runtime_error{"cannot read " + name};
    }
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
}

} // namespace beds::test
