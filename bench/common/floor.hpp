#pragma once

#include "common/driver.hpp"

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace beds::bench {

/// The floor: threads that answer each message with bytes that are there already, over the bare C
/// library, one acknowledgement per 64. Nothing that answers over RabbitMQ can be much faster.
class echo_floor {
public:
    /// `durability::confirmed`: durable queue, replies confirmed before the request is
    /// acknowledged. `before` runs before each reply, in the thread that answers.
    echo_floor(const rabbitmq_endpoint& where, std::string queue, unsigned threads, durability kind,
               std::string reply, std::function<void()> before = {});
    ~echo_floor();
    echo_floor(const echo_floor&) = delete;
    echo_floor& operator=(const echo_floor&) = delete;

private:
    void serve();

    rabbitmq_endpoint where_;
    std::string queue_;
    durability kind_;
    std::string reply_;
    std::function<void()> before_;
    std::atomic<bool> stop_{false};
    std::atomic<unsigned> ready_{0};
    std::vector<std::thread> threads_;
};

/// Sends what `asked` makes to an echo of these threads on a queue of this name, as durable as
/// `asked` is, and verifies every reply.
measurement run_echo(const rabbitmq_endpoint& where, const std::string& queue, unsigned threads,
                     load asked, const std::string& reply);

/// Replies as long as those of BEDS to one operation.
std::string echo_of_a_fetch();
std::string echo_of_a_write();

} // namespace beds::bench
