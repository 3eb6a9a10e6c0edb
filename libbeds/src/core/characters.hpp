#pragma once

#include <beds/core/value.hpp>

#include <algorithm>
#include <cstddef>
#include <string_view>

namespace beds::core {

/// Code points of text that is known to be UTF-8.
inline std::size_t characters_in(std::string_view text) {
    return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char byte) {
        return (static_cast<unsigned char>(byte) & 0xC0U) != 0x80U;
    }));
}

inline std::string_view without_blanks_at_end(std::string_view text) {
    return text.substr(0, text.find_last_not_of(' ') + 1);
}
/// Of a key, that a database may take for the same without them.
inline value without_blanks_at_end(value part) {
    part.text = without_blanks_at_end(part.text);
    return part;
}

} // namespace beds::core
