#pragma once

#include <beds/core/arena.hpp>
#include <beds/core/value.hpp>

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace beds::wire {

/// A cursor is opaque to clients: the position after a row, bound by `tag` to the template, filter
/// and sort that it was made for. It is not signed: whoever reads one checks it like any other
/// input.
struct cursor {
    std::uint64_t tag = 0;
    std::span<const core::value> position;
};

void append_cursor(std::string& out, std::uint64_t tag, std::span<const core::value> position);
/// nullopt when the text is no cursor. Values live in `memory`; their kinds are as written, the
/// caller compares them with the types of the fields.
std::optional<cursor> parse_cursor(std::string_view text, core::arena& memory);

} // namespace beds::wire
