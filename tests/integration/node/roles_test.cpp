#include "fixture.hpp"
#include "support/catch.hpp"

using namespace beds;
using namespace std::chrono_literals;
using beds::client::members;

namespace {

/// A node of one role with a connection in memory, as the test wants it.
class small_node {
public:
    small_node(const test::endpoint& rabbitmq, config::broker_counts counts,
               const std::function<void(config::settings&)>& change = {})
        : tag_(test::unique_name("t") + "_") {
        config::settings settings;
        settings.id.node = "test";
        settings.templates.directory.clear();
        auto role = test::role_on(rabbitmq, tag_);
        role.instances["mem"] = counts;
        settings.broker_services["app_server"] = role;
        if (change) {
            change(settings);
        }
        node_ = std::make_unique<node::node>(std::move(settings));
        node_->add_connection(adapters::make_memory("mem"));
        node_->add_template(test::items_template, "items.toml");
    }

    [[nodiscard]] node::node& node() { return *node_; }
    [[nodiscard]] const std::string& tag() const { return tag_; }

private:
    std::string tag_;
    std::unique_ptr<node::node> node_;
};

client::request within(client::operation what, std::chrono::milliseconds span) {
    what.deadline = std::chrono::system_clock::now() + span;
    return client::request{std::move(what)};
}

} // namespace

TEST_CASE("a role without read brokers answers what goes through the catalog") {
    const auto rabbitmq = test::require_amqp();
    const auto counts = GENERATE(config::broker_counts{.read = 0, .write = 1, .bulk = 0},
                                 config::broker_counts{.read = 0, .write = 0, .bulk = 1});
    small_node running{rabbitmq, counts};
    running.node().start();
    REQUIRE(running.node().wait_ready(core::deadline::after(10s)));
    const auto client = test::client_on(rabbitmq, running.tag());

    const auto described = client->call(within(client::describe(), 5s));
    INFO(described.json());
    REQUIRE(described.ok());
    const auto unknown = client->call(within(client::fetch("itmes", 1), 5s));
    INFO(unknown.json());
    CHECK(unknown.front().code() == core::code::unknown_template);
}
