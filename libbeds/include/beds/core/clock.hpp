#pragma once

#include <chrono>

namespace beds::core {

using steady_time = std::chrono::steady_clock::time_point;
using system_time = std::chrono::system_clock::time_point;

/// Where time comes from. Everything that decides by time takes a clock, so that tests advance it
/// by hand. Implementations must be callable from any thread.
class clock {
public:
    virtual ~clock() = default;
    [[nodiscard]] virtual steady_time steady_now() const = 0;
    [[nodiscard]] virtual system_time system_now() const = 0;
};

/// The machine's clocks. The object lives as long as the process.
const clock& machine_clock();

} // namespace beds::core
