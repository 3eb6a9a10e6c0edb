#pragma once

#include <beds/core/outcome.hpp>

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace beds::brokers {

/// Header of a dead letter: what became of each operation of its envelope.
inline constexpr std::string_view parts_header = "beds-error-operations";

/// For people and for `read_parts`: "OK applied 0,2-4; NOT_FOUND none 1". Empty for one operation,
/// whose code and effect are told anyway, and where it would be too long for a header.
std::string tell_parts(std::span<const core::outcome> results);

struct part {
    std::string_view code{};   ///< `OK` or that of an error
    std::string_view effect{}; ///< as in a reply
};
/// Views into `told`. Empty unless it tells of exactly so many operations, each once.
std::vector<part> read_parts(std::string_view told, std::size_t operations);

} // namespace beds::brokers
