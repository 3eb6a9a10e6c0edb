#pragma once

#include <beds/core/clock.hpp>

#include <chrono>
#include <cstdint>
#include <random>

namespace beds::factory {

/// When the next attempt to reach a database may be made: full jitter under a bound that doubles
/// with every failure. Pure: time comes in, a time comes out.
class backoff {
public:
    explicit backoff(std::uint64_t seed,
                     std::chrono::milliseconds first = std::chrono::milliseconds{50},
                     std::chrono::milliseconds most = std::chrono::milliseconds{2'000});

    [[nodiscard]] bool may_try(core::steady_time now) const { return now >= next_; }
    /// Time until the next attempt, at least a millisecond.
    [[nodiscard]] std::chrono::milliseconds left(core::steady_time now) const;
    void failed(core::steady_time now);
    void succeeded();

private:
    std::chrono::milliseconds first_;
    std::chrono::milliseconds most_;
    std::chrono::milliseconds bound_;
    core::steady_time next_{};
    std::mt19937_64 random_;
};

} // namespace beds::factory
