#include "support/catch.hpp"
#include "support/servers.hpp"

#include <beds/adapters/memory.hpp>
#include <beds/amqp/connection.hpp>
#include <beds/amqp/topology.hpp>
#include <beds/client/amqp_client.hpp>
#include <beds/node/node.hpp>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <memory>
#include <string>
#include <thread>

// Clients and nodes end in bounded time while they are writing, over TLS, to a RabbitMQ that is
// frozen.

using namespace beds;
using namespace std::chrono_literals;
using core::deadline;

namespace {

using test_clock = std::chrono::steady_clock;

deadline soon() {
    return deadline::after(10s);
}

constexpr std::string_view texts_template = R"toml(
[template]
name       = "texts"
store      = "rel"
connection = "mem"
object     = "texts"
key        = ["id"]
[fields]
id   = { type = "int64", required = true }
text = { type = "string", max = 2000000, required = true }
)toml";

const test::private_servers& servers() {
    static const test::private_servers made{test::server::rabbitmq};
    return made;
}

amqp::connection_settings settings(std::chrono::seconds heartbeat) {
    auto made = amqp::parse_amqp_uri(servers().variable("BEDS_AMQPS_URL"));
    made.tls.ca_file = servers().variable("BEDS_TLS_CA");
    made.heartbeat = heartbeat;
    return made;
}

std::unique_ptr<client::client> new_client(const std::string& tag) {
    client::amqp_client_settings how;
    // rabbitmq-c would end a hanging write after twice this time.
    how.amqp = settings(120s);
    how.queue_tag = tag;
    return client::make_amqp_client(how);
}

/// RabbitMQ is frozen while it lives, at once: `pause` takes its time.
class frozen {
public:
    explicit frozen(pid_t server) { ::kill(server, SIGSTOP); }
    ~frozen() { servers().resume(test::server::rabbitmq); }
    frozen(const frozen&) = delete;
    frozen& operator=(const frozen&) = delete;
};

pid_t server_process() {
    auto text = servers().rabbitmqctl({"eval", "os:getpid()."}); // "123"
    text.erase(0, text.find_first_of("0123456789"));
    return static_cast<pid_t>(std::stol(text));
}

} // namespace

TEST_CASE("a client ends while RabbitMQ takes nothing") {
    const auto tag = test::unique_name("t") + "_";
    {
        amqp::publisher_connection own{settings(30s), soon()};
        own.declare(amqp::service_topology(tag), amqp::declare_mode::active, soon());
    }
    auto sender = new_client(tag);
    REQUIRE(sender->wait_ready(soon()));
    const auto pid = server_process();
    const std::string mebibyte(1 << 20, 'x');
    constexpr int many = 20;
    std::atomic<int> ended{0};
    const frozen now{pid};
    const auto start = test_clock::now();
    for (int i = 0; i < many; ++i) {
        sender->submit(client::insert("texts", client::members{{"id", i}, {"text", mebibyte}}),
                       deadline::after(2s), [&](const client::reply&) { ++ended; });
    }
    while (ended < many && test_clock::now() - start < 10s) {
        std::this_thread::sleep_for(10ms);
    }
    CHECK(ended == many);
    CHECK(test_clock::now() - start < 4s);
    const auto end = test_clock::now();
    sender.reset();
    CHECK(test_clock::now() - end < 2s);
}

TEST_CASE("a node ends while RabbitMQ takes no replies") {
    const auto tag = test::unique_name("t") + "_";
    const auto with = settings(20s);
    config::settings made;
    made.id.node = "test";
    made.templates.directory.clear();
    config::broker_service_settings service;
    service.host = with.host;
    service.port = with.port;
    service.vhost = with.vhost;
    service.user = with.user;
    service.pass = with.password;
    service.tls.enabled = true;
    service.tls.ca = with.tls.ca_file;
    service.queue_tag = tag;
    service.heartbeat = with.heartbeat;
    service.instances["mem"] = {.read = 1, .write = 1, .bulk = 0};
    made.broker_services["app_server"] = service;
    auto running = std::make_unique<node::node>(made);
    running->add_connection(adapters::make_memory("mem"));
    running->add_template(texts_template, "texts.toml");
    running->start();
    REQUIRE(running->wait_ready(soon()));
    {
        auto writer = new_client(tag);
        const auto inserted = writer->call(client::insert(
            "texts", client::members{{"id", 1}, {"text", std::string(1'000'000, 'x')}}));
        INFO(inserted.json().substr(0, 500));
        REQUIRE(inserted.ok());
    }
    const auto pid = server_process();
    const auto replies = [&] {
        std::uint64_t count = 0;
        for (const auto& one : running->status().brokers) {
            count += one.replies;
        }
        return count;
    };
    const auto before = replies();

    amqp::publisher_connection out{with, soon()};
    const amqp::queue_name queue{test::unique_name()};
    amqp::topology own;
    own.queues.push_back({queue, amqp::queue_kind::exclusive, {}});
    out.declare(own, amqp::declare_mode::active, soon());
    constexpr int many = 200;
    for (int i = 0; i < many; ++i) {
        out.publish(amqp::events_exchange(tag).str(),
                    amqp::request_key("texts", core::op_class::read).str(),
                    {.reply_to = queue.str(), .content_type = "application/json"},
                    R"({"v":1,"op":"fetch","template":"texts","key":1})", amqp::mandatory::yes,
                    soon());
    }
    out.flush(soon());
    for (const auto until = soon(); replies() == before && !until.expired();) {
        std::this_thread::sleep_for(1ms);
    }
    const frozen now{pid};
    REQUIRE(replies() > before);
    const auto begun = replies();
    std::this_thread::sleep_for(500ms);
    INFO("replies before, at the freeze, later: " << before << ' ' << begun << ' ' << replies());
    REQUIRE(replies() < before + many);
    const auto start = test_clock::now();
    CHECK_FALSE(running->stop(deadline::after(1s)));
    CHECK(test_clock::now() - start < 2s);
    running.reset();
    CHECK(test_clock::now() - start < 25s);
}
