#pragma once

#include <beds/core/deadline.hpp>

#include <chrono>
#include <thread>

namespace beds::test {

/// For what a node does by itself, after a while.
constexpr std::chrono::seconds long_enough{30};

/// Waits until it is so; false when it took too long.
template <class Condition>
bool becomes(Condition condition, std::chrono::milliseconds within = long_enough) {
    const auto until = core::deadline::after(within);
    while (!condition()) {
        if (until.expired()) {
            return false;
        }
        std::this_thread::sleep_for(std::chrono::milliseconds{20});
    }
    return true;
}

} // namespace beds::test
