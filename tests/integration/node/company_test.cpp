#include "fixture.hpp"
#include "support/catch.hpp"

#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <optional>
#include <vector>

using namespace beds;
using namespace std::chrono_literals;
using beds::client::members;
using beds::client::reply;
using beds::client::value;

namespace {

constexpr std::string_view boxes_template = R"toml(
[template]
name       = "boxes"
store      = "rel"
connection = "CONNECTION"
object     = "boxes"
key        = ["id"]
[fields]
id   = { type = "int64", required = true }
size = { type = "int64" }
)toml";

struct node_plan {
    std::string boxes_on = "mem"; ///< connection that holds the template `boxes`
    bool strict_route = false;
    std::size_t max_reply = 0; ///< 0: the default
};

/// A node over two stores in memory, with the templates `items` and `boxes`.
std::unique_ptr<node::node> start_node(const test::endpoint& rabbitmq, const std::string& tag,
                                       const node_plan& plan = {}) {
    config::settings settings;
    settings.id.node = "test";
    settings.templates.directory.clear();
    auto service = test::role_on(rabbitmq, tag);
    service.instances["mem"] = {.read = 1, .write = 1, .bulk = 0};
    service.instances["other"] = {.read = 1, .write = 1, .bulk = 0};
    service.strict_route = plan.strict_route;
    if (plan.max_reply != 0) {
        service.max_reply_bytes = plan.max_reply;
    }
    settings.broker_services["app_server"] = service;
    auto made = std::make_unique<node::node>(std::move(settings));
    made->add_connection(adapters::make_memory("mem"));
    made->add_connection(adapters::make_memory("other"));
    made->add_template(test::items_template, "items.toml");
    std::string boxes{boxes_template};
    boxes.replace(boxes.find("CONNECTION"), 10, plan.boxes_on);
    made->add_template(boxes, "boxes.toml");
    made->start();
    REQUIRE(made->wait_ready(core::deadline::after(15s)));
    return made;
}

std::uint64_t sum(const node::node& of, std::uint64_t observe::broker_counters::*counter) {
    std::uint64_t total = 0;
    for (const auto& one : of.status().brokers) {
        total += one.*counter;
    }
    return total;
}

/// Submits all of them while the client's I/O thread is in a completion, so that it finds them
/// together, and waits for the answers.
std::vector<reply> together(client::client& through, std::vector<client::request> requests) {
    std::mutex mutex;
    std::condition_variable changed;
    std::vector<std::optional<reply>> got(requests.size());
    std::size_t answered = 0;
    through.submit(client::fetch("items", -1), core::deadline::after(20s), [&](const reply&) {
        for (std::size_t i = 0; i < requests.size(); ++i) {
            through.submit(std::move(requests[i]), core::deadline::after(20s), [&, i](reply one) {
                const std::lock_guard lock{mutex};
                CHECK_FALSE(got[i]);
                got[i].emplace(std::move(one));
                if (++answered == got.size()) {
                    changed.notify_one();
                }
            });
        }
    });
    std::unique_lock lock{mutex};
    REQUIRE(changed.wait_for(lock, 30s, [&] { return answered == got.size(); }));
    std::vector<reply> made;
    for (auto& one : got) {
        made.push_back(std::move(*one));
    }
    return made;
}

client::request put(std::int64_t id, std::string request_id) {
    client::request made{
        client::insert("items", members{{"id", id}, {"name", "n" + std::to_string(id)}})};
    made.id = std::move(request_id);
    return made;
}

} // namespace

TEST_CASE("single calls that come together share messages, and each gets its own answer") {
    const auto rabbitmq = test::require_amqp();
    const auto tag = test::unique_name("t") + "_";
    const auto node = start_node(rabbitmq, tag);
    const auto client = test::client_on(rabbitmq, tag);
    for (int id = 1; id <= 20; ++id) {
        REQUIRE(client->call(put(id, "")).ok());
        REQUIRE(client->call(client::insert("boxes", members{{"id", id}, {"size", id * 10}})).ok());
    }
    REQUIRE(client->call(client::describe()).ok());

    std::vector<client::request> asked;
    for (int id = 1; id <= 20; ++id) {
        asked.emplace_back(client::fetch("items", id));
        asked.emplace_back(client::fetch("boxes", id));
        auto wrong = client::fetch("boxes", id);
        wrong.fields = {"szie"};
        asked.emplace_back(wrong);
    }
    // Until it has seen two templates at once, the client has no reason to ask the catalog.
    REQUIRE(together(*client, asked).size() == asked.size());
    const auto before = sum(*node, &observe::broker_counters::messages);
    const auto got = together(*client, asked);
    const auto messages = sum(*node, &observe::broker_counters::messages) - before;
    CHECK(messages == 2); // the one whose completion submits, and all the rest
    for (int id = 1; id <= 20; ++id) {
        const auto at = static_cast<std::size_t>(id - 1) * 3;
        INFO(got[at].json() << '\n' << got[at + 1].json() << '\n' << got[at + 2].json());
        REQUIRE(got[at].size() == 1);
        REQUIRE(got[at].ok());
        CHECK(got[at].front()[0].text("name") == "n" + std::to_string(id));
        REQUIRE(got[at + 1].ok());
        CHECK(got[at + 1].front()[0].integer("size") == id * 10);
        CHECK_FALSE(got[at + 2].ok());
        CHECK(got[at + 2].front().code() == core::code::invalid_field);
    }
}

TEST_CASE("a write keeps its id in whatever company it is sent again") {
    const auto rabbitmq = test::require_amqp();
    const auto tag = test::unique_name("t") + "_";
    const auto node = start_node(rabbitmq, tag);
    const auto client = test::client_on(rabbitmq, tag);

    auto got = together(*client, {put(1, "one"), put(2, "two"), put(3, "")});
    for (const auto& one : got) {
        INFO(one.json());
        CHECK(one.front().effect() == core::effect::applied);
        CHECK_FALSE(one.request_id().empty()); // made by the client where the caller gave none
    }
    CHECK(got[0].request_id() == "one");
    const auto third = got[2].request_id();

    // Alone, in other company and in another order: the first reply again, nothing is done twice.
    CHECK(client->call(put(1, "one")).front().effect() == core::effect::applied);
    got = together(*client, {put(3, third), put(4, "four"), put(2, "two")});
    for (const auto& one : got) {
        INFO(one.json());
        CHECK(one.front().effect() == core::effect::applied);
    }
    CHECK(client->call(client::count("items")).front().total() == 4U);

    got = together(*client, {put(5, "two"), put(6, "six")});
    CHECK(got[0].front().code() == core::code::id_reused);
    CHECK(got[1].ok());

    // And what was first sent alone, in company.
    CHECK(client->call(put(7, "seven")).ok());
    got = together(*client, {put(7, "seven"), put(8, "eight")});
    CHECK(got[0].front().effect() == core::effect::applied);
    CHECK(client->call(client::count("items")).front().total() == 7U);
}

TEST_CASE("each operation keeps its own deadline") {
    const auto rabbitmq = test::require_amqp();
    const auto tag = test::unique_name("t") + "_";
    const auto node = start_node(rabbitmq, tag);
    const auto client = test::client_on(rabbitmq, tag);
    auto late = put(2, "late");
    late.operations.front().deadline = std::chrono::system_clock::now() - 1s;
    const auto got = together(*client, {put(1, "first"), late, put(3, "third")});
    CHECK(got[0].ok());
    CHECK(got[1].front().code() == core::code::deadline_exceeded);
    CHECK(got[1].front().effect() == core::effect::none);
    CHECK(got[2].ok());
}

TEST_CASE("a client that is told so sends every request in a message of its own") {
    const auto rabbitmq = test::require_amqp();
    const auto tag = test::unique_name("t") + "_";
    const auto node = start_node(rabbitmq, tag);
    client::amqp_client_settings how = test::client_settings(rabbitmq, tag);
    how.max_envelope = 1;
    const auto client = client::make_amqp_client(how);
    const auto before = sum(*node, &observe::broker_counters::messages);
    const std::vector<client::request> asked(30, client::request{client::fetch("items", 1)});
    CHECK(together(*client, asked).size() == 30);
    CHECK(sum(*node, &observe::broker_counters::messages) - before == 31);
}

TEST_CASE("results that fit a reply alone, but not together, are fetched alone") {
    const auto rabbitmq = test::require_amqp();
    const auto tag = test::unique_name("t") + "_";
    const auto node = start_node(rabbitmq, tag, {.max_reply = 4096});
    const auto client = test::client_on(rabbitmq, tag);
    constexpr std::size_t rows = 25;
    for (std::size_t id = 1; id <= rows; ++id) {
        REQUIRE(client->call(put(static_cast<std::int64_t>(id), "")).ok());
    }
    const std::vector<client::request> asked(8, client::request{client::find("items")});
    for (const auto& one : together(*client, asked)) {
        INFO(one.json());
        REQUIRE(one.ok());
        CHECK(one.front().size() == rows);
    }
}

TEST_CASE("templates that moved to another database are found there") {
    const auto rabbitmq = test::require_amqp();
    const auto tag = test::unique_name("t") + "_";
    auto node = start_node(rabbitmq, tag);
    const auto client = test::client_on(rabbitmq, tag);
    const std::vector<client::request> asked{client::fetch("items", 1), client::fetch("boxes", 1),
                                             client::fetch("items", 2), client::fetch("boxes", 2)};
    for (int round = 0; round < 2; ++round) { // the second time in one message
        for (const auto& one : together(*client, asked)) {
            CHECK(one.ok());
        }
    }
    node->stop(core::deadline::after(10s));
    node.reset();
    node = start_node(rabbitmq, tag, {.boxes_on = "other"});
    for (int round = 0; round < 3; ++round) {
        for (const auto& one : together(*client, asked)) {
            INFO(one.json());
            CHECK(one.ok());
        }
    }
}

TEST_CASE("with strict_route operations of two templates never share a message") {
    const auto rabbitmq = test::require_amqp();
    const auto tag = test::unique_name("t") + "_";
    const auto node = start_node(rabbitmq, tag, {.strict_route = true});
    const auto client = test::client_on(rabbitmq, tag);
    const std::vector<client::request> asked{client::fetch("items", 1), client::fetch("boxes", 1),
                                             client::fetch("items", 2), client::fetch("boxes", 2)};
    for (int round = 0; round < 3; ++round) {
        for (const auto& one : together(*client, asked)) {
            INFO(one.json());
            CHECK(one.ok());
        }
    }
    CHECK(sum(*node, &observe::broker_counters::errors) == 0);
}
