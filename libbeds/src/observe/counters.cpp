#include <beds/observe/counters.hpp>

#include <utility>

namespace beds::observe {

broker_counters live_counters::snapshot(std::string broker) const {
    constexpr auto order = std::memory_order_relaxed;
    const auto last_turn = turn.load(order);
    const auto now = milliseconds(std::chrono::steady_clock::now());
    return {.broker = std::move(broker),
            .connection = {},
            .op_class = {},
            .messages = messages.load(order),
            .operations = operations.load(order),
            .batches = batches.load(order),
            .ok = ok.load(order),
            .errors = errors.load(order),
            .unknown = unknown.load(order),
            .dead = dead.load(order),
            .requeued = requeued.load(order),
            .quarantined = quarantined.load(order),
            .replies = replies.load(order),
            .replies_returned = replies_returned.load(order),
            .reruns = reruns.load(order),
            .amqp_connects = amqp_connects.load(order),
            .backend_connects = backend_connects.load(order),
            .largest_batch = largest_batch.load(order),
            .amqp_connected = amqp_connected.load(order),
            .backend_connected = backend_connected.load(order),
            .batch_operations = batch_operations.snapshot(),
            .message_time = message_time.snapshot(),
            .since_turn = std::chrono::milliseconds{last_turn == 0 ? 0 : now - last_turn}};
}

} // namespace beds::observe
