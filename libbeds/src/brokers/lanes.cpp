#include "brokers/impl.hpp"

#include <algorithm>
#include <utility>

namespace beds::brokers {

void broker::impl::consume_lanes(amqp::consume_options options, core::deadline until) {
    options.prefetch = 1;
    std::vector<amqp::queue_name> queues;
    for (const auto& [queue, of] : lanes) {
        queues.emplace_back(queue);
    }
    std::shuffle(queues.begin(), queues.end(), random);
    for (const auto& queue : queues) {
        in->consume(queue, options, until);
    }
}

std::chrono::milliseconds broker::impl::until_held() const {
    std::chrono::milliseconds longest{500};
    const auto now = std::chrono::steady_clock::now();
    for (const auto& one : held) {
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(one.until - now);
        longest = std::clamp(left, 0ms, longest);
    }
    return longest;
}

void broker::impl::take_held() {
    const auto now = std::chrono::steady_clock::now();
    const auto is_due = [now](const held_message& one) { return one.until <= now; };
    for (auto& one : held) {
        if (is_due(one)) {
            deliveries.push_back(std::move(one.delivery));
        }
    }
    std::erase_if(held, is_due);
}

std::size_t broker::impl::hold_back(std::size_t first, std::size_t end) {
    if (lanes.empty()) {
        return 0;
    }
    const auto now = std::chrono::steady_clock::now();
    std::vector<const amqp::delivery*> gone;
    for (auto& entry : chunk) {
        if (is_held(entry)) {
            held.push_back({std::move(*entry.delivery), now + entry.held_for});
            gone.push_back(entry.delivery);
        }
    }
    const auto begin = deliveries.begin() + static_cast<std::ptrdiff_t>(first);
    const auto behind = deliveries.begin() + static_cast<std::ptrdiff_t>(end);
    deliveries.erase(std::remove_if(begin, behind,
                                    [&](const amqp::delivery& one) {
                                        return std::find(gone.begin(), gone.end(), &one) !=
                                               gone.end();
                                    }),
                     behind);
    return gone.size();
}

bool broker::impl::is_held(const taken& entry) const {
    return !lanes.empty() &&
           (entry.after == what_next::parked || entry.after == what_next::retried);
}

} // namespace beds::brokers
