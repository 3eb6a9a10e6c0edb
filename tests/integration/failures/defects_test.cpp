#include "support/callers.hpp"

using namespace beds;
using namespace beds::test;

// CTest gives this program two fail points: an exception that no code expects, in the middle of a
// transaction and after a reply.
TEST_CASE("a broker that fails by a defect is back within a second, and nothing is done twice") {
    REQUIRE(environment("BEDS_FAILPOINTS"));
    const auto rabbitmq = require_amqp();
    const auto mariadb = require_mariadb();
    const auto shared = shared_servers();
    const database data{mariadb, shared};
    make_counters(data, 12);
    const auto rel = data.settings();
    node_options options;
    options.templates = counter_templates();
    running_node node{rabbitmq, &rel, options};
    REQUIRE(node.node().wait_ready(core::deadline::after(20s)));

    const lateness machine;
    const auto client = node.new_client();
    constexpr int writes = 60;
    std::chrono::milliseconds longest{0};
    for (int i = 0; i < writes; ++i) {
        client::request one{std::vector<client::operation>{raise(i % 12 + 1)}};
        one.id = "defects-" + std::to_string(i);
        const auto begin = std::chrono::steady_clock::now();
        const auto got = client->call(one, 10s);
        longest = std::max(longest, std::chrono::duration_cast<std::chrono::milliseconds>(
                                        std::chrono::steady_clock::now() - begin));
        INFO(got.json() << '\n' << node.log());
        CHECK(got.ok());
    }
    INFO("longest " << longest.count() << " ms, machine late by " << machine.most().count()
                    << " ms\n"
                    << node.log());
    const auto log = node.log();
    const auto first = log.find("BEDS_BROKER_FAILED");
    REQUIRE(first != std::string::npos);
    CHECK(log.find("BEDS_BROKER_FAILED", first + 1) != std::string::npos);
    CHECK(longest < 1s + machine.most());
    CHECK(data.number("SELECT SUM(value) FROM counters") == writes);
    CHECK(data.number("SELECT COUNT(*) FROM beds_inbox") == writes);
    CHECK(node.node().status().live);
}
