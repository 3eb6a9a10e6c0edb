#include "factory/backoff.hpp"

#include <algorithm>

namespace beds::factory {

backoff::backoff(std::uint64_t seed, std::chrono::milliseconds first,
                 std::chrono::milliseconds most)
    : first_(first), most_(most), bound_(first), random_(seed) {}

std::chrono::milliseconds backoff::left(core::steady_time now) const {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(next_ - now);
    return std::max(left, std::chrono::milliseconds{1});
}

void backoff::failed(core::steady_time now) {
    std::uniform_int_distribution<std::int64_t> jitter{bound_.count() / 2, bound_.count()};
    next_ = now + std::chrono::milliseconds{jitter(random_)};
    bound_ = std::min(bound_ * 2, most_);
}

void backoff::succeeded() {
    bound_ = first_;
    next_ = {};
}

} // namespace beds::factory
