#include "support/catch.hpp"
#include "support/counters.hpp"

#include <atomic>
#include <map>
#include <thread>

using namespace beds;
using namespace std::chrono_literals;

TEST_CASE("two nodes in one process know nothing of each other") {
    const auto rabbitmq = test::require_amqp();
    const auto where = test::require_mariadb();
    const auto control = test::shared_servers();
    test::database left_data{where, control};
    test::database right_data{where, control};
    test::make_counters(left_data, 1);
    test::make_counters(right_data, 1);
    test::node_options options;
    options.templates = test::counter_templates();
    const auto left_rel = left_data.settings();
    const auto right_rel = right_data.settings();
    auto left = std::make_unique<test::running_node>(rabbitmq, &left_rel, options);
    test::running_node right{rabbitmq, &right_rel, options};
    REQUIRE(left->node().wait_ready(core::deadline::after(15s)));
    REQUIRE(right.node().wait_ready(core::deadline::after(15s)));
    auto left_client = left->new_client();
    auto right_client = right.new_client();

    for (int i = 0; i < 20; ++i) {
        // One id on both: they are two services.
        client::request request{test::raise(1)};
        request.id = "same-" + std::to_string(i);
        CHECK(left_client->call(request).ok());
        if (i % 2 == 0) {
            CHECK(right_client->call(request).ok());
        }
    }
    CHECK(left_data.number("SELECT value FROM counters") == 20);
    CHECK(right_data.number("SELECT value FROM counters") == 10);

    CHECK(left->node().stop(core::deadline::after(5s)));
    left.reset();
    CHECK(right_client->call(test::raise(1)).ok());
    CHECK(right_data.number("SELECT value FROM counters") == 11);
}

TEST_CASE("an orderly stop under load: every request is answered once, hardly one comes again") {
    constexpr int messages = 3000;
    const auto rabbitmq = test::require_amqp();
    const auto where = test::require_mariadb();
    const auto control = test::shared_servers();
    test::database data{where, control};
    test::make_counters(data, 8);
    test::node_options options{.rel = {.read = 2, .write = 2, .bulk = 0}, .max_batch = 16};
    options.templates = test::counter_templates();
    options.tag = test::unique_name("t") + "_";
    const auto rel = data.settings();
    auto first = std::make_unique<test::running_node>(rabbitmq, &rel, options);
    REQUIRE(first->node().wait_ready(core::deadline::after(15s)));

    test::raw_client raw{rabbitmq, options.tag};
    // In the middle of it.
    bool clean = false;
    std::thread stopper{[&] {
        const auto until = core::deadline::after(20s);
        while (first->sum(&observe::broker_counters::messages) < 200 && !until.expired()) {
            std::this_thread::sleep_for(1ms);
        }
        clean = first->node().stop(core::deadline::after(10s));
    }};
    bool sent = true;
    for (int i = 0; i < messages; ++i) {
        const auto id = std::to_string(i);
        const auto key = std::to_string(i % 8 + 1);
        if (i % 3 == 0) {
            raw.publish({.key = "counters.read",
                         .body = R"({"v":1,"template":"counters","op":"fetch","key":)" + key + "}",
                         .correlation_id = id,
                         .reply_to = raw.reply_queue()});
        } else {
            raw.publish({.key = "counters.write",
                         .body = R"({"v":1,"template":"counters","op":"update","key":)" + key +
                                 R"(,"inc":{"value":1}})",
                         .message_id = "stop-" + id,
                         .correlation_id = id,
                         .reply_to = raw.reply_queue()});
        }
        if (i % 50 == 49) {
            sent = raw.settle() && sent;
        }
    }
    stopper.join();
    REQUIRE(sent);
    REQUIRE(clean);
    const auto by_first = first->sum(&observe::broker_counters::messages);
    INFO(first->log());
    CHECK(by_first > 0);
    CHECK(by_first < messages);
    first.reset();

    // The rest waited in its queues.
    test::running_node second{rabbitmq, &rel, options};
    std::map<std::string, int> answered;
    for (int i = 0; i < messages; ++i) {
        const auto got = raw.reply(20s);
        REQUIRE(got);
        ++answered[got->correlation_id];
        CHECK(got->body.find("\"status\":\"ok\"") != std::string::npos);
    }
    std::string twice;
    for (const auto& [id, count] : answered) {
        twice += count > 1 ? id + " " : "";
    }
    INFO("answered more than once: " << twice << '\n' << second.log());
    CHECK_FALSE(raw.reply(200ms));
    CHECK(answered.size() == messages);
    // A message that was delivered again counts twice: 35 to 61 do when a stop leaves what is on
    // its way, none on a quiet machine when it does not.
    CHECK(by_first + second.sum(&observe::broker_counters::messages) <= messages + 15);
    CHECK(data.number("SELECT SUM(value) FROM counters") == messages - messages / 3);
    CHECK(data.number("SELECT COUNT(*) FROM beds_inbox") == messages - messages / 3);
}

TEST_CASE("eight nodes stop one after the other under load: hardly a message is delivered again") {
    const auto rabbitmq = test::require_amqp();
    const auto where = test::require_mariadb();
    const auto control = test::shared_servers();
    test::database data{where, control};
    test::make_counters(data, 8);
    test::node_options options{.rel = {.read = 1, .write = 3, .bulk = 0}, .max_batch = 16};
    options.templates = test::counter_templates();
    options.tag = test::unique_name("t") + "_";
    const auto rel = data.settings();
    auto running = std::make_unique<test::running_node>(rabbitmq, &rel, options);
    REQUIRE(running->node().wait_ready(core::deadline::after(15s)));
    std::atomic<bool> stop{false};
    std::atomic<int> sent{0};
    std::atomic<std::uint64_t> seen{0};
    std::thread load{[&] { // more than is done, so that queues always have something
        constexpr std::uint64_t ahead = 20'000;
        test::raw_client raw{rabbitmq, options.tag};
        while (!stop) {
            if (static_cast<std::uint64_t>(sent) > seen + ahead) {
                std::this_thread::sleep_for(1ms);
                continue;
            }
            const auto id = std::to_string(++sent);
            raw.publish({.key = "counters.write",
                         .body = R"({"v":1,"template":"counters","op":"update","key":)" +
                                 std::to_string(sent % 8 + 1) + R"(,"inc":{"value":1}})",
                         .message_id = "stops-" + id});
            if (sent % 50 == 0) {
                raw.settle();
            }
        }
        raw.settle();
    }};
    std::uint64_t again = 0;
    std::uint64_t worked_on = 0;
    for (int i = 0; i < 8; ++i) {
        const auto until = core::deadline::after(20s);
        while (running->sum(&observe::broker_counters::messages) < 300 && !until.expired()) {
            std::this_thread::sleep_for(1ms);
        }
        seen = worked_on + running->sum(&observe::broker_counters::messages);
        CHECK(running->node().stop(core::deadline::after(10s)));
        again += running->sum(&observe::broker_counters::quarantined);
        worked_on += running->sum(&observe::broker_counters::messages);
        running = std::make_unique<test::running_node>(rabbitmq, &rel, options);
    }
    stop = true;
    load.join();
    const auto until = core::deadline::after(120s); // a sanitizer needs it
    while (data.number("SELECT COUNT(*) FROM beds_inbox") < sent && !until.expired()) {
        std::this_thread::sleep_for(20ms);
    }
    again += running->sum(&observe::broker_counters::quarantined);
    INFO(again << " of " << worked_on << " were delivered again");
    CHECK(again <= 60);
    CHECK(data.number("SELECT SUM(value) FROM counters") == sent);
    CHECK(data.number("SELECT COUNT(*) FROM beds_inbox") == sent);
}
