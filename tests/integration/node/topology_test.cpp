#include "fixture.hpp"
#include "support/catch.hpp"

#include <beds/amqp/connection.hpp>
#include <beds/amqp/topology.hpp>
#include <beds/node/topology.hpp>

#include <thread>

using namespace beds;
using namespace std::chrono_literals;

namespace {

core::deadline soon() {
    return core::deadline::after(20s);
}

/// What an operator does to a service's queues.
class operator_connection {
public:
    explicit operator_connection(const test::endpoint& rabbitmq)
        : connection_(test::client_settings(rabbitmq, "").amqp, soon()) {}

    void remove(const std::string& queue) { connection_.remove(amqp::queue_name{queue}, soon()); }
    void make(const std::string& queue, std::vector<amqp::argument> arguments) {
        amqp::topology wanted;
        wanted.queues = {
            {amqp::queue_name{queue}, amqp::queue_kind::durable, std::move(arguments)}};
        connection_.declare(wanted, amqp::declare_mode::active, soon());
    }

private:
    amqp::consumer_connection connection_;
};

std::unique_ptr<node::node> node_on(const test::endpoint& rabbitmq, const std::string& tag) {
    config::settings settings;
    settings.id.node = "test";
    settings.templates.directory.clear();
    auto service = test::role_on(rabbitmq, tag);
    service.instances["mem"] = {.read = 1, .write = 1, .bulk = 0};
    settings.broker_services["app_server"] = service;
    auto made = std::make_unique<node::node>(std::move(settings));
    made->add_connection(adapters::make_memory("mem"));
    made->add_template(test::items_template, "items.toml");
    made->start();
    return made;
}

client::request put(std::int64_t id) {
    return client::request{
        client::insert("items", client::members{{"id", id}, {"name", "n" + std::to_string(id)}})};
}

} // namespace

TEST_CASE("queues that are deleted under their consumers come back, and requests are served") {
    const auto rabbitmq = test::require_amqp();
    const auto tag = test::unique_name("t") + "_";
    const auto node = node_on(rabbitmq, tag);
    REQUIRE(node->wait_ready(soon()));
    const auto client = test::client_on(rabbitmq, tag);
    REQUIRE(client->call(put(1), soon()).ok());
    operator_connection someone{rabbitmq};
    std::int64_t id = 1;
    for (const auto* queue : {"mem.write", "mem.write.again", "mem.write.quarantine", "mem.read"}) {
        INFO(queue);
        someone.remove(tag + queue);
        auto next = put(++id);
        next.id = "item-" + std::to_string(id); // sent again until it is taken
        bool served = false;
        for (const auto until = core::deadline::after(10s); !served && !until.expired();) {
            served = client->call(next, core::deadline::after(1s)).ok();
        }
        CHECK(served);
        bool read = false;
        for (const auto until = core::deadline::after(10s); !read && !until.expired();) {
            read = client->call(client::fetch("items", id), core::deadline::after(1s)).ok();
        }
        CHECK(read);
    }
    CHECK(node->wait_ready(soon()));
    CHECK(client->call(client::count("items"), soon()).front().total() == id);
}

TEST_CASE("a queue of another kind is named with the argument that differs, until it is gone") {
    const auto rabbitmq = test::require_amqp();
    const auto tag = test::unique_name("t") + "_";
    operator_connection someone{rabbitmq};
    someone.make(tag + "mem.write", {{"x-queue-type", "classic"}});
    const auto node = node_on(rabbitmq, tag);
    CHECK_FALSE(node->wait_ready(core::deadline::after(1s)));
    const auto status = node->status();
    CHECK(status.live);
    const auto& trouble = status.dependencies.front().trouble;
    INFO(trouble);
    CHECK(trouble.find("'" + tag + "mem.write'") != std::string::npos);
    CHECK(trouble.find("x-") != std::string::npos);
    // Reads have a queue of their own: they are served all the while.
    const auto client = test::client_on(rabbitmq, tag);
    CHECK(client->call(client::count("items"), soon()).ok());
    someone.remove(tag + "mem.write");
    CHECK(node->wait_ready(soon()));
    CHECK(client->call(put(1), soon()).ok());
}

TEST_CASE("a virtual host that is not there is named, and waited for") {
    auto rabbitmq = test::require_amqp();
    const auto control = test::shared_servers();
    rabbitmq.path = test::unique_name("v");
    const auto tag = test::unique_name("t") + "_";
    const auto node = node_on(rabbitmq, tag);
    CHECK_FALSE(node->wait_ready(core::deadline::after(1s)));
    const auto status = node->status();
    CHECK(status.live);
    const auto& trouble = status.dependencies.front().trouble;
    INFO(trouble);
    CHECK(trouble.find(rabbitmq.path) != std::string::npos);
    control.rabbitmqctl({"add_vhost", rabbitmq.path});
    control.rabbitmqctl({"set_permissions", "-p", rabbitmq.path, rabbitmq.user, ".*", ".*", ".*"});
    CHECK(node->wait_ready(soon()));
    CHECK(test::client_on(rabbitmq, tag)->call(put(1), soon()).ok());
    node->stop(soon());
    control.rabbitmqctl({"delete_vhost", rabbitmq.path});
}

TEST_CASE("what a node declared for a test is gone with the test") {
    const auto rabbitmq = test::require_amqp();
    const auto tag = test::unique_name("t") + "_";
    auto service = test::role_on(rabbitmq, tag);
    for (const auto* const connection : {"rel", "rec", "mem"}) {
        service.instances[connection] = {.read = 1, .write = 1, .bulk = 1};
    }
    amqp::consumer_connection there{test::client_settings(rabbitmq, tag).amqp, soon()};
    amqp::topology all;
    for (const auto& group : node::broker_groups(service)) {
        const auto some = node::broker_topology(service, templates::registry{{}}, group);
        there.declare(some, amqp::declare_mode::active, soon());
        all.queues.insert(all.queues.end(), some.queues.begin(), some.queues.end());
    }
    REQUIRE(all.queues.size() > 40);
    CHECK(there.inspect(amqp::dead_queue(tag), soon()));
    test::remove_queues(rabbitmq, tag);
    for (const auto& one : all.queues) {
        INFO(one.name.str());
        CHECK_FALSE(there.inspect(one.name, soon()));
    }
}
