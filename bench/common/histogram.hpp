#pragma once

#include <chrono>
#include <cstdint>
#include <vector>

namespace beds::bench {

/// Times counted in buckets that grow with the value (as HdrHistogram's do): every percentile is at
/// most 0.8 % above the true one, from 1 ns to centuries, in 64 KiB at most.
class histogram {
public:
    /// Negative times count as zero.
    void record(std::chrono::nanoseconds time);
    void add(const histogram& other);

    [[nodiscard]] std::uint64_t count() const { return count_; }
    /// The time that this share of all (0 to 100) does not exceed; zero when there is none.
    [[nodiscard]] std::chrono::nanoseconds percentile(double share) const;
    /// Exact.
    [[nodiscard]] std::chrono::nanoseconds max() const { return max_; }

private:
    std::vector<std::uint64_t> buckets_;
    std::uint64_t count_ = 0;
    std::chrono::nanoseconds max_{0};
};

inline double microseconds(std::chrono::nanoseconds time) {
    return static_cast<double>(time.count()) / 1000.0;
}

} // namespace beds::bench
