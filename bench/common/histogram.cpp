#include "common/histogram.hpp"

#include <algorithm>
#include <bit>
#include <cmath>

namespace beds::bench {
namespace {

/// Below 256 each value has a bucket of its own; above, each power of two has 128.
constexpr std::uint64_t linear = 256;
constexpr unsigned half_bits = 7;

std::size_t bucket_of(std::uint64_t value) {
    if (value < linear) {
        return value;
    }
    const auto shift = static_cast<unsigned>(std::bit_width(value)) - half_bits - 1;
    return (static_cast<std::size_t>(shift) << half_bits) + (value >> shift);
}

std::uint64_t highest_of(std::size_t bucket) {
    if (bucket < linear) {
        return bucket;
    }
    const auto shift = (bucket >> half_bits) - 1;
    const auto top = bucket - (shift << half_bits);
    return ((top + 1) << shift) - 1;
}

} // namespace

void histogram::record(std::chrono::nanoseconds time) {
    const auto value = static_cast<std::uint64_t>(std::max<std::int64_t>(0, time.count()));
    const auto bucket = bucket_of(value);
    if (bucket >= buckets_.size()) {
        buckets_.resize(bucket + 1);
    }
    ++buckets_[bucket];
    ++count_;
    max_ = std::max(max_, time);
}

void histogram::add(const histogram& other) {
    buckets_.resize(std::max(buckets_.size(), other.buckets_.size()));
    for (std::size_t i = 0; i < other.buckets_.size(); ++i) {
        buckets_[i] += other.buckets_[i];
    }
    count_ += other.count_;
    max_ = std::max(max_, other.max_);
}

std::chrono::nanoseconds histogram::percentile(double share) const {
    const auto wanted = static_cast<std::uint64_t>(
        std::max(1.0, std::ceil(share / 100.0 * static_cast<double>(count_))));
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < buckets_.size(); ++i) {
        seen += buckets_[i];
        if (seen >= wanted) {
            return std::min(max_,
                            std::chrono::nanoseconds{static_cast<std::int64_t>(highest_of(i))});
        }
    }
    return max_;
}

} // namespace beds::bench
