#include <beds/core/json.hpp>
#include <beds/wire/cursor.hpp>

#include <cstring>

namespace beds::wire {
namespace {

using core::value;

constexpr char version = 1;

template <class T>
void append_raw(std::string& out, T number) {
    char bytes[sizeof number];
    std::memcpy(bytes, &number, sizeof number);
    out.append(bytes, sizeof bytes);
}

template <class T>
bool take_raw(std::string_view& from, T& number) {
    if (from.size() < sizeof number) {
        return false;
    }
    std::memcpy(&number, from.data(), sizeof number);
    from.remove_prefix(sizeof number);
    return true;
}

bool has_text(value::kind kind) {
    return kind == value::kind::decimal || kind == value::kind::string ||
           kind == value::kind::uuid || kind == value::kind::bytes || kind == value::kind::json;
}

} // namespace

void append_cursor(std::string& out, std::uint64_t tag, std::span<const value> position) {
    std::string bytes;
    bytes.push_back(version);
    append_raw(bytes, tag);
    for (const auto& part : position) {
        bytes.push_back(static_cast<char>(part.type));
        if (has_text(part.type)) {
            append_raw(bytes, static_cast<std::uint32_t>(part.text.size()));
            bytes.append(part.text);
        } else if (part.type != value::kind::null) {
            append_raw(bytes, part.integer); // every scalar of the union has these eight bytes
        }
    }
    core::append_base64(out, bytes);
}

std::optional<cursor> parse_cursor(std::string_view text, core::arena& memory) {
    const auto decoded = core::decode_base64(text, memory);
    if (!decoded || decoded->empty() || decoded->front() != version) {
        return std::nullopt;
    }
    auto left = decoded->substr(1);
    cursor made;
    if (!take_raw(left, made.tag)) {
        return std::nullopt;
    }
    constexpr std::size_t most_parts = 64;
    value parts[most_parts];
    std::size_t count = 0;
    while (!left.empty()) {
        const auto kind = static_cast<unsigned char>(left.front());
        left.remove_prefix(1);
        if (count == most_parts || kind >= static_cast<unsigned char>(value::kind::document)) {
            return std::nullopt;
        }
        auto& part = parts[count++];
        part.type = static_cast<value::kind>(kind);
        if (has_text(part.type)) {
            std::uint32_t size = 0;
            if (!take_raw(left, size) || left.size() < size) {
                return std::nullopt;
            }
            part.text = left.substr(0, size);
            left.remove_prefix(size);
        } else if (part.type != value::kind::null && !take_raw(left, part.integer)) {
            return std::nullopt;
        }
        if (part.type == value::kind::boolean && part.integer != 0 && part.integer != 1) {
            return std::nullopt;
        }
    }
    made.position = memory.copy(std::span<const value>{parts, count});
    return made;
}

} // namespace beds::wire
