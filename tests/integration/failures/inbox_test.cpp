#include "support/callers.hpp"
#include "support/catch.hpp"
#include "support/counters.hpp"
#include "support/running_node.hpp"

#include <thread>

using namespace beds;
using namespace beds::test;
using namespace std::chrono_literals;

TEST_CASE("a node without its inbox says so, serves reads, and is ready when it is made") {
    const auto rabbitmq = require_amqp();
    const auto mariadb = require_mariadb();
    const auto shared = shared_servers();
    const database data{mariadb, shared};
    make_counters(data, 3);
    const bool later = GENERATE(false, true); // while the node runs
    CAPTURE(later);
    if (!later) {
        data.sql("RENAME TABLE beds_inbox TO away");
    }
    const auto rel = data.settings();
    node_options options;
    options.templates = counter_templates();
    // Else it does not start without an inbox: integration_live_schema.
    options.on_mismatch = config::mismatch_action::ignore;
    running_node node{rabbitmq, &rel, options};
    const auto client = node.new_client();
    const auto database_of = [&] {
        const auto status = node.node().status();
        const auto found =
            std::find_if(status.dependencies.begin(), status.dependencies.end(),
                         [](const auto& each) { return each.name == "database rel"; });
        REQUIRE(found != status.dependencies.end());
        return *found;
    };
    const auto wait_until = [&](auto&& what) {
        const auto until = core::deadline::after(30s);
        while (!what() && !until.expired()) {
            std::this_thread::sleep_for(10ms);
        }
        return what();
    };
    if (later) {
        REQUIRE(node.node().wait_ready(core::deadline::after(20s)));
        data.sql("RENAME TABLE beds_inbox TO away");
    }
    CHECK(client->call(client::fetch("counters", 1), 10s).ok());
    const auto refused = client->call(raise(1), 10s);
    INFO(refused.json() << node.log());
    CHECK(refused.front().code() == core::code::backend_unavailable);
    CHECK(refused.json().find("has no table beds_inbox") != std::string::npos);
    CHECK(refused.json().find("\"effect\":\"none\"") != std::string::npos);
    CHECK(wait_until([&] { return !database_of().ready; }));
    CHECK(database_of().trouble.find("beds_inbox cannot be used") != std::string::npos);
    CHECK(database_of().trouble.find("bedsctl schema") != std::string::npos);
    CHECK_FALSE(node.node().status().ready);
    CHECK(client->call(client::fetch("counters", 1), 10s).ok());

    data.sql("RENAME TABLE away TO beds_inbox");
    CHECK(wait_until([&] { return node.node().status().ready; }));
    CHECK(client->call(raise(1), 10s).ok());
    CHECK(data.number("SELECT value FROM counters WHERE id = 1") == 1);
}
