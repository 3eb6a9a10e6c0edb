#pragma once

#include "support/callers.hpp"

namespace beds::test {

using namespace std::chrono_literals;

/// One RabbitMQ and one MariaDB for all cases of this program: each leaves them running.
inline private_servers& servers() {
    static private_servers made{server::rabbitmq, server::mariadb};
    return made;
}

/// A node over both servers, with a connection in memory beside MariaDB.
class chaos_world {
public:
    explicit chaos_world(int rows = 12) : data(servers().mariadb(), servers()) {
        make_counters(data, rows);
        rel = data.settings();
        options.rel = {.read = 1, .write = 2, .bulk = 0};
        options.mem = {.read = 1, .write = 1, .bulk = 0};
        options.templates = counter_templates();
        options.templates.emplace_back(R"toml(
[template]
name = "notes"
store = "rel"
connection = "mem"
object = "notes"
key = ["id"]
[fields]
id = { type = "int64", required = true }
)toml");
    }
    void start() { running = std::make_unique<running_node>(servers().amqp(), &rel, options); }
    void start_ready() {
        start();
        REQUIRE(running->node().wait_ready(core::deadline::after(20s)));
    }
    [[nodiscard]] bool ready(std::chrono::seconds within = 20s) const {
        return running->ready(within);
    }

    database data;
    config::rel_service_settings rel;
    node_options options;
    std::unique_ptr<running_node> running;
};

} // namespace beds::test
