#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace bedsctl {

/// How far an export has come.
struct export_state {
    std::string question{};  ///< on which every byte of the file depends
    std::uint64_t rows = 0;  ///< in the first `bytes` of the file that is not complete
    std::uint64_t bytes = 0; ///< the header's included
    std::string after{};     ///< the service's cursor of the page behind them

    friend bool operator==(const export_state&, const export_state&) = default;
};

std::string to_json(const export_state& from);
/// Nothing when the text is no state of this version.
std::optional<export_state> parse_export_state(std::string_view json);

} // namespace bedsctl
