#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace beds::observe {

/// How often which values occurred. `counts` has one element more than `bounds`: values above the
/// last one.
struct histogram {
    std::vector<std::uint64_t> bounds{}; ///< upper bounds, inclusive, ascending
    std::vector<std::uint64_t> counts{}; ///< not cumulative
    std::uint64_t sum = 0;               ///< of the values

    [[nodiscard]] std::uint64_t count() const;
    /// Adds another one with the same bounds; an empty one takes its bounds.
    void add(const histogram& other);
};

/// Bounds for numbers of operations in a batch.
inline constexpr std::array<std::uint64_t, 11> batch_bounds{1,  2,   4,   8,    16,  32,
                                                            64, 128, 256, 1024, 4096};
/// Bounds for times, in microseconds: 250 us to 30 s.
inline constexpr std::array<std::uint64_t, 16> time_bounds{
    250,     500,     1'000,   2'500,     5'000,     10'000,    25'000,     50'000,
    100'000, 250'000, 500'000, 1'000'000, 2'500'000, 5'000'000, 10'000'000, 30'000'000};

/// Written without locks by one thread, read by any.
class live_histogram {
public:
    static constexpr std::size_t most_bounds = 16;

    /// `bounds` are not copied; at most `most_bounds`.
    explicit live_histogram(std::span<const std::uint64_t> bounds) : bounds_(bounds) {}

    void add(std::uint64_t value, std::uint64_t times = 1) {
        std::size_t at = 0;
        while (at < bounds_.size() && value > bounds_[at]) {
            ++at;
        }
        more(counts_[at], times);
        more(sum_, value * times);
    }
    [[nodiscard]] histogram snapshot() const;

private:
    static void more(std::atomic<std::uint64_t>& counter, std::uint64_t by) {
        counter.store(counter.load(std::memory_order_relaxed) + by, std::memory_order_relaxed);
    }

    std::span<const std::uint64_t> bounds_;
    std::array<std::atomic<std::uint64_t>, most_bounds + 1> counts_{};
    std::atomic<std::uint64_t> sum_{0};
};

} // namespace beds::observe
