#include "support/catch.hpp"

#include <beds/admin/pages.hpp>
#include <beds/core/arena.hpp>
#include <beds/core/json.hpp>

#include <sstream>
#include <string>

using namespace beds;

namespace {

observe::histogram histogram_of(std::span<const std::uint64_t> bounds,
                                std::initializer_list<std::uint64_t> values) {
    observe::live_histogram made{bounds};
    for (const auto value : values) {
        made.add(value);
    }
    return made.snapshot();
}

/// Two read brokers and a write broker, one template, something that named none.
admin::view example() {
    admin::view made;
    made.status.live = true;
    made.status.dependencies = {
        {"rabbitmq app_server", true, true, {}, {}},
        {"database rel", true, false, "Can't connect to \"db\\1\"\n(111)", {}}};
    for (int i = 0; i < 3; ++i) {
        observe::broker_counters one;
        one.broker = "node rel." + std::to_string(i);
        one.connection = "rel";
        one.op_class = i == 2 ? core::op_class::write : core::op_class::read;
        one.messages = 10;
        one.batches = 4;
        one.amqp_connects = 1;
        one.backend_connects = 3;
        one.batch_operations = histogram_of(observe::batch_bounds, {1, 3, 5000});
        one.message_time = histogram_of(observe::time_bounds, {100, 2'000, 40'000'000});
        made.status.brokers.push_back(one);
    }
    observe::template_traffic none;
    none.received = none.rejected = 2;
    none.requests = {{std::nullopt, core::code::invalid_envelope, 2}};
    observe::template_traffic items;
    items.name = "items";
    items.received = 60;
    items.replied_ok = 40;
    items.rejected = 5;
    items.unknown = 4;
    items.dead = 3;
    items.requeued = 2;
    items.in_flight = 6;
    items.requests = {{core::verb::fetch, core::code::ok, 30},
                      {core::verb::remove, core::code::not_found, 5}};
    made.traffic = {none, items};
    made.queues = {{"app_server", "dev_rel.read", 17, 2}};
    return made;
}

/// The line's value, or "" when there is none.
std::string value_of(const std::string& text, const std::string& series) {
    std::istringstream lines{text};
    for (std::string line; std::getline(lines, line);) {
        if (line.starts_with(series + ' ')) {
            return line.substr(series.size() + 1);
        }
    }
    return "";
}

} // namespace

TEST_CASE("metrics are those that operators were promised") {
    const auto text = admin::metrics_text(example());
    INFO(text);
    const auto value = [&](const std::string& series) { return value_of(text, series); };
    CHECK(value(R"(beds_requests_total{template="items",op="fetch",code="OK"})") == "30");
    CHECK(value(R"(beds_requests_total{template="items",op="delete",code="NOT_FOUND"})") == "5");
    CHECK(value(R"(beds_requests_total{template="",op="",code="INVALID_ENVELOPE"})") == "2");
    CHECK(value(R"(beds_request_seconds_bucket{connection="rel",class="read",le="0.00025"})") ==
          "2");
    CHECK(value(R"(beds_request_seconds_bucket{connection="rel",class="read",le="0.0025"})") ==
          "4");
    CHECK(value(R"(beds_request_seconds_bucket{connection="rel",class="read",le="0.1"})") == "4");
    CHECK(value(R"(beds_request_seconds_bucket{connection="rel",class="read",le="+Inf"})") == "6");
    CHECK(value(R"(beds_request_seconds_count{connection="rel",class="write"})") == "3");
    CHECK(value(R"(beds_request_seconds_sum{connection="rel",class="write"})") == "40.0021");
    CHECK(value(R"(beds_batch_operations_bucket{connection="rel",class="write",le="4"})") == "2");
    CHECK(value(R"(beds_batch_operations_sum{connection="rel",class="write"})") == "5004");
    CHECK(value(R"(beds_in_flight{template="items"})") == "6");
    CHECK(value(R"(beds_reconnects_total{backend="rel"})") == "6");
    CHECK(value(R"(beds_reconnects_total{backend="rabbitmq"})") == "0");
    CHECK(value(R"(beds_queue_messages{service="app_server",queue="dev_rel.read"})") == "17");
    CHECK(value(R"(beds_brokers{connection="rel",class="read"})") == "2");
    CHECK(value(R"(beds_messages_total{connection="rel",class="read"})") == "20");
    CHECK(value("beds_live") == "1");
    CHECK(value("beds_ready") == "0");
    CHECK(value(R"(beds_dependency_ready{dependency="database rel",required="true"})") == "0");
    CHECK(text.find("# TYPE beds_request_seconds histogram\n") != std::string::npos);
    CHECK(text.find("# HELP beds_in_flight ") != std::string::npos);
}

TEST_CASE("the figures of the conservation law are there, and it holds") {
    const auto text = admin::metrics_text(example());
    for (const std::string name : {"", "items"}) {
        const auto value = [&](const std::string& series) {
            const auto found = value_of(text, series + "{template=\"" + name + "\"}");
            INFO(series);
            REQUIRE_FALSE(found.empty());
            return std::stoll(found);
        };
        CHECK(value("beds_received_total") ==
              value("beds_replied_ok_total") + value("beds_rejected_total") +
                  value("beds_unknown_total") + value("beds_dead_total") +
                  value("beds_requeued_total") + value("beds_in_flight"));
    }
    CHECK(value_of(text, R"(beds_received_total{template="items"})") == "60");
    CHECK(value_of(text, R"(beds_unknown_total{template="items"})") == "4");
    CHECK(value_of(text, R"(beds_dead_total{template="items"})") == "3");
    CHECK(value_of(text, R"(beds_requeued_total{template="items"})") == "2");
}

TEST_CASE("the JSON pages are JSON, whatever a server's message holds") {
    const auto view = example();
    core::arena memory;
    core::datum status;
    const auto text = admin::status_json(view);
    INFO(text);
    REQUIRE_FALSE(core::parse_json(text, memory, status));
    CHECK(status.find("live")->boolean);
    CHECK_FALSE(status.find("ready")->boolean);
    CHECK(status.find("templates")->items()[1].find("in_flight")->integer == 6);
    CHECK(status.find("queues")->items()[0].find("queue")->text == "dev_rel.read");
    CHECK(status.find("brokers")->count == 3);

    core::datum ready;
    const auto readiness = admin::readiness_json(view.status);
    REQUIRE_FALSE(core::parse_json(readiness, memory, ready));
    const auto& dependencies = *ready.find("dependencies");
    REQUIRE(dependencies.count == 2);
    CHECK(dependencies.items()[0].find("reason") == nullptr);
    CHECK(dependencies.items()[1].find("reason")->text == "Can't connect to \"db\\1\"\n(111)");

    auto stuck = view.status;
    stuck.live = false;
    stuck.stuck = {"node rel.read/0"};
    CHECK(admin::liveness_json(stuck) == "{\"live\":false,\"stuck\":[\"node rel.read/0\"]}\n");
}

TEST_CASE("a node without anything has pages") {
    CHECK(admin::liveness_json({}) == "{\"live\":false,\"stuck\":[]}\n");
    CHECK(admin::readiness_json({}) == "{\"ready\":false,\"dependencies\":[]}\n");
    core::arena memory;
    core::datum status;
    const auto text = admin::status_json({});
    CHECK_FALSE(core::parse_json(text, memory, status));
    CHECK(value_of(admin::metrics_text({}), "beds_live") == "0");
}

TEST_CASE("what came of the last reload is on the pages") {
    auto view = example();
    const auto series = "beds_reloads_total{result=\"refused\"}";
    CHECK(value_of(admin::metrics_text(view), series) == "0");
    CHECK(value_of(admin::metrics_text(view), "beds_last_reload_ok").empty());
    CHECK(admin::readiness_json(view.status).find("reload") == std::string::npos);

    auto& reload = view.status.reload;
    reload.changed = 3;
    reload.refused = 2;
    reload.at = std::chrono::system_clock::time_point{std::chrono::seconds{1'700'000'000}};
    reload.last.problems = {"a.toml:3: fields.\"x\": unknown key"};
    auto text = admin::metrics_text(view);
    INFO(text);
    CHECK(value_of(text, series) == "2");
    CHECK(value_of(text, "beds_reloads_total{result=\"changed\"}") == "3");
    CHECK(value_of(text, "beds_last_reload_ok") == "0");
    CHECK(std::stod(value_of(text, "beds_last_reload_timestamp_seconds")) == 1'700'000'000);
    core::arena memory;
    core::datum ready;
    const auto readiness = admin::readiness_json(view.status);
    REQUIRE_FALSE(core::parse_json(readiness, memory, ready));
    CHECK_FALSE(ready.find("ready")->boolean);
    const auto* shown = ready.find("reload");
    REQUIRE(shown != nullptr);
    CHECK(shown->find("last")->text == "refused");
    CHECK(shown->find("at_ms")->integer == 1'700'000'000'000);
    CHECK(shown->find("problems")->items()[0].text == reload.last.problems.front());

    reload.last = {.result = node::reload_result::changed,
                   .changes = {{"items", 1, 2}},
                   .brokers = 3,
                   .following = 1};
    text = admin::metrics_text(view);
    CHECK(value_of(text, "beds_last_reload_ok") == "1");
    CHECK(value_of(text, "beds_brokers_before_last_reload") == "2");
    core::datum status;
    const auto page = admin::status_json(view);
    REQUIRE_FALSE(core::parse_json(page, memory, status));
    CHECK(status.find("reload")->find("text")->text ==
          "changed: items (version 1 to 2); 1 of 3 broker(s) work by them, the others as soon as "
          "their batches end (0 ms)");
}
