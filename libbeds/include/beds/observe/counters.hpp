#pragma once

#include <beds/core/operation.hpp>
#include <beds/observe/histogram.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace beds::observe {

/// What one broker did since it started. A copyable snapshot; figures of one snapshot may be a few
/// operations apart from each other, each of them only grows.
struct broker_counters {
    std::string broker{};     ///< `rel.read/0`
    std::string connection{}; ///< the database service that it works for
    core::op_class op_class = core::op_class::read;
    std::uint64_t messages = 0;
    std::uint64_t operations = 0;
    std::uint64_t batches = 0;
    std::uint64_t ok = 0;
    std::uint64_t errors = 0;
    std::uint64_t unknown = 0;     ///< operations whose effect is unknown
    std::uint64_t dead = 0;        ///< messages sent to the dead queue
    std::uint64_t requeued = 0;    ///< messages that wait for another attempt
    std::uint64_t quarantined = 0; ///< messages that were delivered before
    std::uint64_t replies = 0;
    std::uint64_t replies_returned = 0; ///< the caller's reply queue was gone
    std::uint64_t reruns = 0;           ///< of batches, or of some of their operations
    std::uint64_t amqp_connects = 0;
    std::uint64_t backend_connects = 0;
    std::uint32_t largest_batch = 0; ///< in operations
    bool amqp_connected = false;
    bool backend_connected = false;
    histogram batch_operations{}; ///< operations of a batch
    /// Microseconds from when RabbitMQ's message was read until it was acknowledged, by message.
    histogram message_time{};
    /// Since the broker's thread last came round; 0 before it runs and after it has ended.
    std::chrono::milliseconds since_turn{0};
};

class ledger;

/// The counters' owner writes without locks (one writer), anyone reads.
class live_counters {
public:
    std::atomic<std::uint64_t> messages{0}, operations{0}, batches{0}, ok{0}, errors{0}, unknown{0},
        dead{0}, requeued{0}, quarantined{0}, replies{0}, replies_returned{0}, reruns{0},
        amqp_connects{0}, backend_connects{0};
    std::atomic<std::uint32_t> largest_batch{0};
    std::atomic<bool> amqp_connected{false}, backend_connected{false};
    live_histogram batch_operations{batch_bounds};
    live_histogram message_time{time_bounds};
    std::atomic<std::int64_t> turn{0}; ///< steady clock, milliseconds; 0: not running
    /// Told what was received as soon as its template is known; may be missing, not owned.
    ledger* books = nullptr;

    void note_turn(std::chrono::steady_clock::time_point now) {
        turn.store(milliseconds(now), std::memory_order_relaxed);
    }

    /// One writer only: a plain load and store instead of a locked instruction.
    static void add(std::atomic<std::uint64_t>& counter, std::uint64_t by = 1) {
        counter.store(counter.load(std::memory_order_relaxed) + by, std::memory_order_relaxed);
    }
    [[nodiscard]] broker_counters snapshot(std::string broker) const;

private:
    static std::int64_t milliseconds(std::chrono::steady_clock::time_point at) {
        return std::chrono::duration_cast<std::chrono::milliseconds>(at.time_since_epoch()).count();
    }
};

} // namespace beds::observe
