#include <beds/observe/counters.hpp>

#include <utility>

namespace beds::observe {

broker_counters live_counters::snapshot(std::string broker) const {
    constexpr auto order = std::memory_order_relaxed;
    return {.broker = std::move(broker),
            .messages = messages.load(order),
            .operations = operations.load(order),
            .batches = batches.load(order),
            .ok = ok.load(order),
            .errors = errors.load(order),
            .unknown = unknown.load(order),
            .dead = dead.load(order),
            .replies = replies.load(order),
            .replies_returned = replies_returned.load(order),
            .reruns = reruns.load(order),
            .amqp_connects = amqp_connects.load(order),
            .backend_connects = backend_connects.load(order),
            .largest_batch = largest_batch.load(order),
            .amqp_connected = amqp_connected.load(order),
            .backend_connected = backend_connected.load(order)};
}

} // namespace beds::observe
