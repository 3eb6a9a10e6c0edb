#pragma once

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

} // namespace beds::core
