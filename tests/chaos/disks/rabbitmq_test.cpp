#include "support/callers.hpp"
#include "support/small_disk.hpp"

using namespace beds;
using namespace beds::test;

TEST_CASE("RabbitMQ's disk fills up under load: nothing is lost or done twice, and all goes on") {
    const auto mariadb = require_mariadb();
    const auto shared = shared_servers();
    const small_disk disk{400};
    const private_servers own{{server::rabbitmq}, disk.root()};
    const database data{mariadb, shared};
    make_counters(data, 12);
    const auto rel = data.settings();
    node_options options;
    options.rel = {.read = 1, .write = 2, .bulk = 0};
    options.heartbeat = 10s;
    options.templates = counter_templates();
    running_node node{own.amqp(), &rel, options};
    REQUIRE(node.node().wait_ready(core::deadline::after(20s)));
    history told;
    callers load{node, told, 3, callers::giving_up::never};
    REQUIRE(load.wait_for(50));

    // It stops taking messages when less than `disk_free_limit` is left, here 50 MB.
    disk.fill(std::uint64_t{40} << 20U);
    const auto until = core::deadline::after(30s);
    auto status = node.node().status();
    while (status.ready && !until.expired()) {
        std::this_thread::sleep_for(20ms);
        status = node.node().status();
    }
    CHECK(status.live);
    CHECK_FALSE(status.ready);
    CHECK(status.dependencies.front().trouble.find("disk") != std::string::npos);

    disk.make_room();
    REQUIRE(load.wait_for(50, 30s));
    CHECK(node.node().wait_ready(core::deadline::after(20s)));
    load.finish();
    INFO(told.text() << node.log());
    check_effects(data, told);
}
