#include "adapters/mariadb/query.hpp"

#include <algorithm>
#include <array>
#include <bit>

namespace beds::adapters::mariadb {

query& query::name(std::string_view identifier) {
    text_ += '`';
    for (const char c : identifier) {
        if (c == '`') {
            text_ += '`';
        }
        text_ += c;
    }
    text_ += '`';
    return *this;
}

query& query::object(std::string_view qualified) {
    const auto dot = qualified.find('.');
    if (dot != std::string_view::npos) {
        name(qualified.substr(0, dot));
        text_ += '.';
        qualified.remove_prefix(dot + 1);
    }
    return name(qualified);
}

query& query::comment(std::string_view template_name, std::string_view op) {
    // Names are checked when a template is loaded; here they must in no case end the comment.
    const auto append = [this](std::string_view part) {
        for (const char c : part) {
            text_ += c == '*' || c == '/' ? '_' : c;
        }
    };
    text_ += "/* beds ";
    append(template_name);
    text_ += '.';
    append(op);
    text_ += " */ ";
    return *this;
}

std::size_t padded_size(std::size_t count) {
    return std::bit_ceil(count);
}

std::size_t unpadded_size(std::size_t left) {
    constexpr std::array<std::size_t, 16> sizes{256, 192, 128, 96, 64, 48, 32, 24,
                                                16,  12,  8,   6,  4,  3,  2,  1};
    return *std::find_if(sizes.begin(), sizes.end(),
                         [left](std::size_t size) { return size <= left; });
}

} // namespace beds::adapters::mariadb
