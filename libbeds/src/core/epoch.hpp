#pragma once

#include <beds/core/clock.hpp>

#include <chrono>
#include <cstdint>
#include <optional>

namespace beds::core {

/// A deadline as callers write it: milliseconds since 1970-01-01 UTC, up to the year 2100. The
/// bound keeps the clock's nanoseconds from overflowing.
[[nodiscard]] constexpr std::optional<system_time> time_from_epoch(std::int64_t milliseconds) {
    constexpr std::int64_t most = 4'102'444'800'000; // 2100-01-01
    if (milliseconds < 0 || milliseconds > most) {
        return std::nullopt;
    }
    return system_time{std::chrono::milliseconds{milliseconds}};
}

} // namespace beds::core
