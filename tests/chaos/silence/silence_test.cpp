#include "integration/mongodb/fixture.hpp"
#include "support/callers.hpp"
#include "support/gate.hpp"
#include "support/loopback.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

// Connections on which nothing moves any more, which no end of them is told. Every call of a client
// ends by its deadline, each connection serves again when it can, and a client ends in bounded
// time.

using namespace beds;
using namespace beds::test;

namespace {

constexpr auto patience = 300ms;
constexpr std::string_view readings_template = R"toml(
[template]
name = "readings"
store = "rec"
object = "readings"
key = ["id"]
[fields]
id = { type = "string", max = 80, required = true, column = "_id" }
value = { type = "int64", default = 0 }
)toml";

endpoint through(endpoint to, const gate& by) {
    to.host = "127.0.0.1";
    to.port = by.port();
    return to;
}

client::amqp_client_settings settings_of(const endpoint& rabbitmq, std::string tag) {
    client::amqp_client_settings how;
    how.amqp = amqp_settings(rabbitmq);
    how.amqp.heartbeat = 1s; // silence of two seconds is the end of a connection
    how.queue_tag = std::move(tag);
    return how;
}

/// A node over both engines and a client of it, each connection through a gate of its own.
struct world {
    world()
        : rabbitmq(require_amqp()), mariadb(require_mariadb()), mongodb(require_mongodb()),
          control(shared_servers()), data(mariadb, control), documents(mongodb.uri, unique_name()),
          client_rabbitmq(rabbitmq.host, rabbitmq.port),
          node_rabbitmq(rabbitmq.host, rabbitmq.port), node_mariadb(mariadb.host, mariadb.port),
          node_mongodb(mongodb.host, mongodb.port) {
        make_counters(data, 4);
        rel = data.settings();
        rel.host = "127.0.0.1";
        rel.port = node_mariadb.port();
        node_options options;
        options.mongodb = mongodb::settings_for(
            "mongodb://127.0.0.1:" + std::to_string(node_mongodb.port()) + "/", documents.name());
        options.mongodb->connect_timeout = 2s;
        options.heartbeat = 1s;
        options.templates = counter_templates();
        options.templates.emplace_back(readings_template);
        running.emplace(through(rabbitmq, node_rabbitmq), &rel, options);
        REQUIRE(running->node().wait_ready(core::deadline::after(20s)));
        caller = client::make_amqp_client(
            settings_of(through(rabbitmq, client_rabbitmq), running->tag()));
        REQUIRE(caller->call(client::insert("readings", {{"id", "1"}, {"value", 0}})).ok());
        REQUIRE(served());
    }

    static std::vector<client::operation> operations() {
        auto on_mongodb = client::update("readings", "1", {});
        on_mongodb.inc = client::value::object({{"value", 1}});
        return {client::fetch("counters", 1), raise(2), client::fetch("readings", "1"),
                std::move(on_mongodb)};
    }
    /// Reads and writes on both engines, all at once.
    bool served() {
        for (const auto& one : operations()) {
            if (!caller->call(one, 1s).ok()) {
                return false;
            }
        }
        return true;
    }
    bool served_within(std::chrono::seconds within) {
        for (const auto until = core::deadline::after(within); !until.expired();) {
            if (served()) {
                return true;
            }
        }
        return false;
    }

    endpoint rabbitmq;
    endpoint mariadb;
    endpoint mongodb;
    server_control control;
    database data;
    mongodb::raw_database documents;
    gate client_rabbitmq;
    gate node_rabbitmq;
    gate node_mariadb;
    gate node_mongodb;
    config::rel_service_settings rel;
    std::optional<running_node> running;
    std::unique_ptr<client::client> caller;
};

/// How long after their deadlines the calls ended, at most. All of them end.
std::chrono::milliseconds latest_of_calls(client::client& caller) {
    std::mutex mutex;
    std::chrono::milliseconds latest{-1'000'000};
    std::atomic<int> ended{0};
    int asked = 0;
    for (int round = 0; round < (in_full() ? 50 : 8); ++round) {
        for (const auto& one : world::operations()) {
            const auto begin = std::chrono::steady_clock::now();
            ++asked;
            caller.submit(
                one, core::deadline::at(begin + patience), [&, begin](const client::reply&) {
                    const auto late = std::chrono::steady_clock::now() - begin - patience;
                    const std::lock_guard lock{mutex};
                    latest = std::max(latest,
                                      std::chrono::duration_cast<std::chrono::milliseconds>(late));
                    ++ended;
                });
        }
        std::this_thread::sleep_for(40ms);
    }
    for (const auto until = core::deadline::after(10s); ended < asked && !until.expired();) {
        std::this_thread::sleep_for(5ms);
    }
    REQUIRE(ended == asked);
    const std::lock_guard lock{mutex}; // the last of them has let go of it
    return latest;
}

std::chrono::milliseconds time_to_end(std::unique_ptr<client::client>& ended) {
    const auto begin = std::chrono::steady_clock::now();
    ended.reset();
    return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() -
                                                                 begin);
}

} // namespace

TEST_CASE("silence: whichever connection falls silent, calls end by their deadlines") {
    world on;
    struct {
        const char* name;
        gate& by;
    } const connections[] = {{"client and RabbitMQ", on.client_rabbitmq},
                             {"node and RabbitMQ", on.node_rabbitmq},
                             {"node and MariaDB", on.node_mariadb},
                             {"node and MongoDB", on.node_mongodb}};
    using direction = gate::direction;
    for (const auto& each : connections) {
        INFO(each.name);
        {
            INFO("nothing is passed on");
            const lateness machine;
            each.by.freeze(direction::to_server);
            each.by.freeze(direction::to_client);
            const auto latest = latest_of_calls(*on.caller);
            each.by.thaw(direction::to_server);
            each.by.thaw(direction::to_client);
            INFO("machine late by " << machine.most().count() << " ms");
            CHECK(latest <= 100ms + machine.most());
            CHECK(on.served_within(10s));
        }
        {
            INFO("everything is thrown away, for ever");
            const lateness machine;
            each.by.swallow(direction::to_server);
            each.by.swallow(direction::to_client);
            const auto latest = latest_of_calls(*on.caller);
            INFO("machine late by " << machine.most().count() << " ms");
            CHECK(latest <= 100ms + machine.most());
            CHECK(on.served_within(10s));
        }
    }
}

TEST_CASE("silence: a client ends within two seconds, whatever is broken") {
    const auto rabbitmq = require_amqp();
    gate network{rabbitmq.host, rabbitmq.port};
    const auto tag = unique_name("t") + "_";
    amqp::publisher_connection own{amqp_settings(rabbitmq), core::deadline::after(10s)};
    own.declare(amqp::service_topology(tag), amqp::declare_mode::active,
                core::deadline::after(10s));
    const auto new_client = [&](std::uint16_t port,
                                std::chrono::milliseconds connect_timeout = 5s) {
        auto how = settings_of(rabbitmq, tag);
        how.amqp.host = "127.0.0.1";
        how.amqp.port = port;
        how.amqp.heartbeat = 60s; // it must not be what helps
        how.amqp.connect_timeout = connect_timeout;
        return client::make_amqp_client(how);
    };
    std::atomic<int> ended{0};
    const auto ask = [&](client::client& of) {
        for (int i = 0; i < 3; ++i) {
            of.submit(client::fetch("counters", i), core::deadline::after(60s),
                      [&](const client::reply& got) {
                          CHECK(got.front().code() == core::code::backend_unavailable);
                          ++ended;
                      });
        }
    };
    constexpr auto at_most = 2000ms;
    std::unique_ptr<client::client> one;

    SECTION("nothing is broken: at once") {
        one = new_client(network.port());
        REQUIRE(one->wait_ready(core::deadline::after(10s)));
        CHECK(time_to_end(one) < 500ms);
    }
    SECTION("RabbitMQ falls silent, with requests under way") {
        one = new_client(network.port());
        REQUIRE(one->wait_ready(core::deadline::after(10s)));
        network.freeze(gate::direction::to_server);
        network.freeze(gate::direction::to_client);
        ask(*one);
        std::this_thread::sleep_for(50ms);
        CHECK(time_to_end(one) < at_most);
        CHECK(ended == 3);
    }
    SECTION("RabbitMQ takes nothing, and more waits to be written than the network holds") {
        one = new_client(network.port());
        REQUIRE(one->wait_ready(core::deadline::after(10s)));
        network.freeze(gate::direction::to_server);
        const std::string mebibyte(1 << 20, 'x');
        for (int i = 0; i < 30; ++i) {
            one->submit(client::insert("marks", client::members{{"id", mebibyte}}),
                        core::deadline::after(60s), [&](const client::reply&) { ++ended; });
        }
        std::this_thread::sleep_for(300ms); // it hangs in writing
        CHECK(time_to_end(one) < at_most);
        CHECK(ended == 30);
    }
    SECTION("RabbitMQ takes the connection and says nothing") {
        network.freeze(gate::direction::to_client);
        one = new_client(network.port());
        ask(*one);
        std::this_thread::sleep_for(100ms);
        CHECK(time_to_end(one) < at_most);
        CHECK(ended == 3);
    }
    SECTION("nobody answers at that address") {
        // A full queue of connections that nobody accepts: further ones get no answer.
        const loopback_listener full{0};
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        address.sin_port = htons(full.port());
        std::vector<int> waiting;
        for (int i = 0; i < 4; ++i) {
            waiting.push_back(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
            static_cast<void>(
                ::connect(waiting.back(), reinterpret_cast<sockaddr*>(&address), sizeof address));
        }
        one = new_client(full.port(), 3s);
        ask(*one);
        std::this_thread::sleep_for(100ms);
        CHECK(time_to_end(one) < at_most);
        CHECK(ended == 3);
        for (const int each : waiting) {
            ::close(each);
        }
        std::this_thread::sleep_for(2s); // the thread that was left alone ends, too
    }
    CHECK(ended % 3 == 0);
}
