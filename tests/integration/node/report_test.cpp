#include "fixture.hpp"
#include "support/becomes.hpp"
#include "support/catch.hpp"
#include "support/folder.hpp"

#include <beds/brokers/broker.hpp>

#include <algorithm>
#include <atomic>
#include <future>
#include <thread>

using namespace beds;
using namespace std::chrono_literals;
using test::contains;

namespace {

/// Where nobody listens.
test::endpoint nobody() {
    test::endpoint none;
    none.host = "127.0.0.1";
    none.port = 1;
    none.user = "beds";
    none.password = "x";
    return none;
}

const node::ipl_step& step(const std::vector<node::ipl_step>& report, std::string_view name) {
    const auto found = std::find_if(report.begin(), report.end(),
                                    [&](const auto& each) { return each.name == name; });
    INFO("step " << name);
    REQUIRE(found != report.end());
    return *found;
}

const node::dependency& dependency(const node::node_status& status, std::string_view name) {
    const auto found = std::find_if(status.dependencies.begin(), status.dependencies.end(),
                                    [&](const auto& each) { return each.name == name; });
    INFO("dependency " << name);
    REQUIRE(found != status.dependencies.end());
    return *found;
}

} // namespace

TEST_CASE("what is away is named with its own reason and the time that was waited for it") {
    config::settings settings;
    settings.templates.directory.clear();
    auto role = test::role_on(nobody(), "t_");
    role.instances["mem"] = {.read = 1, .write = 1, .bulk = 0};
    settings.broker_services["app_server"] = role;
    node::node node{settings};
    const auto database = std::make_shared<test::switched_adapter>("mem", false);
    node.add_connection(database);
    node.add_template(test::items_template, "items.toml");
    const auto report = node.start();

    const auto& amqp = step(report, "rabbitmq app_server");
    CHECK(amqp.state == node::step_state::waiting);
    CHECK(contains(amqp.detail, "RabbitMQ"));
    CHECK_FALSE(contains(amqp.detail, "switch"));
    CHECK(amqp.took >= 200ms); // so long it was looked for
    const auto& mem = step(report, "database mem");
    INFO(to_string(mem));
    CHECK(mem.state == node::step_state::waiting);
    CHECK(contains(mem.detail, "the switch is off"));
    CHECK_FALSE(contains(mem.detail, "RabbitMQ"));
    CHECK(mem.took >= 200ms);

    // One of the two comes back: its time stands still, the other's reason is its own.
    database->turn_on();
    const auto until = core::deadline::after(20s);
    while (!dependency(node.status(), "database mem").ready && !until.expired()) {
        std::this_thread::sleep_for(10ms);
    }
    const auto status = node.status();
    const auto& back = dependency(status, "database mem");
    CHECK(back.ready);
    CHECK(back.trouble.empty());
    CHECK_FALSE(status.ready);
    CHECK(contains(dependency(status, "rabbitmq app_server").trouble, "127.0.0.1"));
    CHECK(node.stop(core::deadline::after(5s)));
}

TEST_CASE("who waits for another to ask for RabbitMQ says what that one found") {
    brokers::broker_settings settings;
    settings.connection = "mem";
    settings.amqp = test::amqp_settings(nobody());
    settings.lead = std::make_shared<amqp::reconnect_lead>();
    const auto make = [&](std::string name) {
        settings.name = std::move(name);
        return std::make_unique<brokers::broker>(
            settings,
            std::make_shared<const factory::template_set>(
                factory::template_set{.registry = std::make_shared<const templates::registry>(
                                          std::vector<templates::template_def>{})}),
            std::vector<std::shared_ptr<adapters::adapter>>{adapters::make_memory("mem")},
            adapters::session_context{});
    };
    const auto tells = [](const brokers::broker& one) {
        return test::becomes([&] { return contains(one.amqp_trouble(), "127.0.0.1"); }, 10s);
    };
    const auto first = make("mem.read/0");
    first->start();
    REQUIRE(tells(*first));
    const auto second = make("mem.read/1"); // never asks by itself
    second->start();
    INFO(second->amqp_trouble());
    CHECK(tells(*second));
    first->stop(core::deadline::after(2s));
    second->stop(core::deadline::after(2s));
}

TEST_CASE("the report of the start: every step with its state and its time") {
    const auto rabbitmq = test::require_amqp();
    test::memory_node running{rabbitmq};
    REQUIRE(running.node().wait_ready(core::deadline::after(10s)));
    const auto& report = running.node().report();
    std::vector<std::string> names;
    for (const auto& each : report) {
        names.push_back(each.name);
        INFO(to_string(each));
        if (each.name != "adapters") { // which may take less than a microsecond
            CHECK(each.took.count() > 0);
        }
        CHECK(each.required);
        CHECK(each.state != node::step_state::failed);
    }
    CHECK(names == std::vector<std::string>{"configuration", "adapters", "templates",
                                            "brokers app_server", "rabbitmq app_server",
                                            "database mem"});
    CHECK(contains(step(report, "templates").detail, "1 template(s)"));
    CHECK(step(report, "database mem").state == node::step_state::done);
    CHECK(to_string(step(report, "database mem")).find("database mem: ok (") == 0);
}

TEST_CASE("the log is written without a lock that the status needs") {
    brokers::broker_settings settings;
    settings.name = "mem.read/0";
    settings.connection = "mem";
    settings.amqp.host = "127.0.0.1";
    settings.amqp.port = 1;
    settings.amqp.user = "beds";
    settings.amqp.connect_timeout = 1s;
    std::promise<brokers::broker*> made;
    std::promise<bool> answered;
    std::future<std::string> late;
    std::atomic<bool> asked = false;
    adapters::session_context context;
    context.log = observe::log_sink{
        observe::level::info, [&](const observe::log_record& record) {
            if (record.id != "BEDS_AMQP_TROUBLE" || asked.exchange(true)) {
                return;
            }
            auto* const broker = made.get_future().get();
            auto other = std::async(std::launch::async, [=] { return broker->amqp_trouble(); });
            answered.set_value(other.wait_for(3s) == std::future_status::ready);
            // The other thread ends when this one has left the log.
            late = std::move(other);
        }};
    brokers::broker broker{settings,
                           std::make_shared<const factory::template_set>(factory::template_set{
                               .registry = std::make_shared<const templates::registry>(
                                   std::vector<templates::template_def>{})}),
                           {adapters::make_memory("mem")},
                           context};
    made.set_value(&broker);
    broker.start();
    auto result = answered.get_future();
    REQUIRE(result.wait_for(20s) == std::future_status::ready);
    CHECK(result.get());
    broker.stop(core::deadline::after(2s));
    broker.join();
    late.wait();
}

TEST_CASE("what is registered twice, or not at all, is told") {
    const auto refused = [](const auto& step) -> std::pair<core::errc, std::string> {
        try {
            step();
        } catch (const core::error& why) {
            return {static_cast<core::errc>(why.code().value()), why.message()};
        }
        return {core::errc::internal, "it was taken"};
    };
    config::settings settings;
    settings.templates.directory.clear();
    settings.rel_services["rel"] = {.user = "u", .database = "d"};
    node::node node{settings};
    const auto [code, text] = refused([&] { node.check(); });
    CHECK(code == core::errc::unsupported);
    CHECK(contains(text, "connection 'rel' needs an engine for store 'rel'"));

    const auto add_engine = [&] {
        node.register_engine(templates::engine::rel,
                             [](const std::string& name, const config::settings&) {
                                 return adapters::make_memory(name);
                             });
    };
    add_engine();
    const auto second_engine = refused(add_engine);
    CHECK(second_engine.first == core::errc::duplicate_name);
    CHECK(contains(second_engine.second, "store 'rel'"));
    node.add_connection(adapters::make_memory("mem"));
    const auto second_connection =
        refused([&] { node.add_connection(adapters::make_memory("mem")); });
    CHECK(second_connection.first == core::errc::duplicate_name);
    CHECK(contains(second_connection.second, "connection 'mem'"));
    node.add_template(test::items_template, "items.toml");
    CHECK_NOTHROW(node.check());
}
