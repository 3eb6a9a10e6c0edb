#include "fixture.hpp"
#include "support/catch.hpp"

#include <set>
#include <vector>

// Cursors go from node to node of a role: whoever takes the next request opens them.

using namespace beds;
using namespace std::chrono_literals;
using beds::client::members;
using beds::client::value;

namespace {

/// Two nodes of one role, of which the test stops and starts one at a time, so that it is known
/// which one answers; they share one engine in memory.
class two_nodes {
public:
    two_nodes() : rabbitmq_(test::require_amqp()), tag_(test::unique_name("t") + "_") {}

    using change = test::memory_node::change;
    void start(const change& changed = {}) {
        config::settings settings;
        settings.id.node = "test";
        settings.templates.directory.clear();
        auto service = test::role_on(rabbitmq_, tag_);
        service.instances["mem"] = {.read = 1, .write = 1, .bulk = 0};
        settings.broker_services["app_server"] = service;
        if (changed) {
            changed(settings);
        }
        node_.reset();
        node_ = std::make_unique<node::node>(std::move(settings));
        node_->add_connection(engine_);
        node_->add_template(test::items_template, "items.toml");
        node_->start();
        REQUIRE(node_->wait_ready(core::deadline::after(20s)));
        if (client_ == nullptr) {
            client_ = test::client_on(rabbitmq_, tag_);
        }
    }
    void stop() {
        CHECK(node_->stop(core::deadline::after(20s)));
        node_.reset();
    }
    client::client& client() { return *client_; }

private:
    test::endpoint rabbitmq_;
    std::string tag_;
    std::shared_ptr<adapters::adapter> engine_ = adapters::make_memory("mem");
    std::unique_ptr<node::node> node_;
    std::unique_ptr<client::client> client_;
};

client::operation page(std::string_view after = {}) {
    auto made = client::find("items");
    made.sort = {"-owner"};
    made.limit = 2;
    made.fields = {"id"};
    made.after = after;
    return made;
}

void fill(two_nodes& world) {
    std::vector<value> rows;
    for (int id = 1; id <= 5; ++id) {
        rows.push_back(
            value::object({{"id", id}, {"name", "n" + std::to_string(id)}, {"owner", "canary"}}));
    }
    REQUIRE(world.client().call(client::insert("items", std::move(rows))).ok());
}

core::secret key_of(char letter) {
    return core::secret{std::string(32, letter)};
}

} // namespace

TEST_CASE("a page goes on at another node of the role, with no key configured") {
    two_nodes world;
    world.start();
    fill(world);
    const auto first = world.client().call(page());
    REQUIRE(first.ok());
    const std::string next{first[0].next()};
    REQUIRE_FALSE(next.empty());
    world.stop();
    world.start();
    const auto second = world.client().call(page(next));
    INFO(second.json());
    REQUIRE(second.ok());
    REQUIRE(second[0].size() == 2);
    CHECK(second[0][0].integer("id") == 3);
    world.stop();
    // Of a node that has another password it is none.
    world.start([](config::settings& settings) { settings.id.env_name = "qa"; });
    const auto foreign = world.client().call(page(next));
    CHECK(foreign[0].code() == core::code::invalid_field);
    CHECK(foreign[0].field() == "after");
}

TEST_CASE("a new key takes over from the one before, node by node") {
    two_nodes world;
    world.start([](config::settings& settings) { settings.cursors.key = key_of('a'); });
    fill(world);
    const auto first = world.client().call(page());
    REQUIRE(first.ok());
    const std::string old{first[0].next()};
    world.stop();
    world.start([](config::settings& settings) {
        settings.cursors.key = key_of('b');
        settings.cursors.previous_key = key_of('a');
    });
    const auto second = world.client().call(page(old));
    REQUIRE(second.ok());
    const std::string fresh{second[0].next()};
    world.stop();
    world.start([](config::settings& settings) { settings.cursors.key = key_of('b'); });
    CHECK(world.client().call(page(fresh)).ok());
    CHECK(world.client().call(page(old))[0].code() == core::code::invalid_field);
}

TEST_CASE("a cursor is good for the configured time") {
    two_nodes world;
    world.start([](config::settings& settings) { settings.cursors.lifetime = 1s; });
    fill(world);
    const auto first = world.client().call(page());
    REQUIRE(first.ok());
    const std::string next{first[0].next()};
    // The clock is the machine's: it is asked until it is late.
    const auto until = core::deadline::after(20s);
    for (;;) {
        const auto late = world.client().call(page(next));
        if (!late.ok()) {
            CHECK(late[0].code() == core::code::invalid_field);
            CHECK(late[0].detail().find("expired") != std::string_view::npos);
            break;
        }
        REQUIRE_FALSE(until.expired());
    }
}
