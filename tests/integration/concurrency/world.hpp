#pragma once

#include "support/catch.hpp"
#include "support/counters.hpp"

namespace beds::test {

/// Counters in a database of their own, and a node over them, which starts when it is told, and may
/// be started again on its old queues.
struct counters_world {
    counters_world(int rows, node_options given)
        : rabbitmq(require_amqp()), where(require_mariadb()), control(shared_servers()),
          data(where, control), options(std::move(given)) {
        make_counters(data, rows);
        options.tag = unique_name("t") + "_";
        if (options.templates.empty()) {
            options.templates = counter_templates();
        }
    }
    /// Ready, or the test ends.
    void start() {
        const auto rel = data.settings();
        running = std::make_unique<running_node>(rabbitmq, &rel, options);
        REQUIRE(running->node().wait_ready(core::deadline::after(std::chrono::seconds{15})));
    }

    endpoint rabbitmq;
    endpoint where;
    server_control control;
    database data;
    node_options options;
    std::unique_ptr<running_node> running;
};

} // namespace beds::test
