#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace beds::observe {

/// What one broker did since it started. A copyable snapshot; figures of one snapshot may be a few
/// operations apart from each other, each of them only grows.
struct broker_counters {
    std::string broker{}; ///< `rel.read/0`
    std::uint64_t messages = 0;
    std::uint64_t operations = 0;
    std::uint64_t batches = 0;
    std::uint64_t ok = 0;
    std::uint64_t errors = 0;
    std::uint64_t unknown = 0; ///< operations whose effect is unknown
    std::uint64_t dead = 0;    ///< messages sent to the dead queue
    std::uint64_t replies = 0;
    std::uint64_t replies_returned = 0; ///< the caller's reply queue was gone
    std::uint64_t reruns = 0;           ///< batches run again after a deadlock or a known id
    std::uint64_t amqp_connects = 0;
    std::uint64_t backend_connects = 0;
    std::uint32_t largest_batch = 0; ///< in operations
    bool amqp_connected = false;
    bool backend_connected = false;
};

/// The counters' owner writes without locks (one writer), anyone reads.
class live_counters {
public:
    std::atomic<std::uint64_t> messages{0}, operations{0}, batches{0}, ok{0}, errors{0}, unknown{0},
        dead{0}, replies{0}, replies_returned{0}, reruns{0}, amqp_connects{0}, backend_connects{0};
    std::atomic<std::uint32_t> largest_batch{0};
    std::atomic<bool> amqp_connected{false}, backend_connected{false};

    /// One writer only: a plain load and store instead of a locked instruction.
    static void add(std::atomic<std::uint64_t>& counter, std::uint64_t by = 1) {
        counter.store(counter.load(std::memory_order_relaxed) + by, std::memory_order_relaxed);
    }
    [[nodiscard]] broker_counters snapshot(std::string broker) const;
};

} // namespace beds::observe
