#include <beds/observe/histogram.hpp>

#include <numeric>

namespace beds::observe {

std::uint64_t histogram::count() const {
    return std::accumulate(counts.begin(), counts.end(), std::uint64_t{0});
}

void histogram::add(const histogram& other) {
    if (counts.empty()) {
        *this = other;
        return;
    }
    for (std::size_t i = 0; i < counts.size() && i < other.counts.size(); ++i) {
        counts[i] += other.counts[i];
    }
    sum += other.sum;
}

histogram live_histogram::snapshot() const {
    histogram made;
    made.bounds.assign(bounds_.begin(), bounds_.end());
    for (std::size_t i = 0; i <= bounds_.size(); ++i) {
        made.counts.push_back(counts_[i].load(std::memory_order_relaxed));
    }
    made.sum = sum_.load(std::memory_order_relaxed);
    return made;
}

} // namespace beds::observe
