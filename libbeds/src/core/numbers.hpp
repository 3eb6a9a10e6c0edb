#pragma once

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <system_error>

namespace beds::core {

/// A JSON number taken apart: `-`, digits without needless zeros, fraction, exponent.
struct number_parts {
    bool negative = false;
    std::string_view whole;    ///< at least one digit
    std::string_view fraction; ///< digits after the point; empty: no point
    bool exponent = false;
};

constexpr bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

/// nullopt when `text` is not exactly one JSON number.
constexpr std::optional<number_parts> take_apart(std::string_view text) {
    number_parts parts;
    std::size_t at = 0;
    const auto digits = [&text, &at] {
        const std::size_t from = at;
        while (at < text.size() && is_digit(text[at])) {
            ++at;
        }
        return text.substr(from, at - from);
    };
    if (at < text.size() && text[at] == '-') {
        parts.negative = true;
        ++at;
    }
    parts.whole = digits();
    if (parts.whole.empty() || (parts.whole.size() > 1 && parts.whole.front() == '0')) {
        return std::nullopt;
    }
    if (at < text.size() && text[at] == '.') {
        ++at;
        parts.fraction = digits();
        if (parts.fraction.empty()) {
            return std::nullopt;
        }
    }
    if (at < text.size() && (text[at] == 'e' || text[at] == 'E')) {
        parts.exponent = true;
        ++at;
        if (at < text.size() && (text[at] == '+' || text[at] == '-')) {
            ++at;
        }
        if (digits().empty()) {
            return std::nullopt;
        }
    }
    return at == text.size() ? std::optional{parts} : std::nullopt;
}

/// All of `text` as an integer of type T; nullopt when it is none or out of range.
template <class T>
std::optional<T> whole_number(std::string_view text) {
    T result{};
    const char* const end = text.data() + text.size();
    const auto [stopped, problem] = std::from_chars(text.data(), end, result);
    if (problem != std::errc{} || stopped != end || text.empty()) {
        return std::nullopt;
    }
    return result;
}

} // namespace beds::core
