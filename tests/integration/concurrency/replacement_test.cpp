#include "support/catch.hpp"
#include "support/counters.hpp"

#include <algorithm>
#include <atomic>
#include <future>
#include <iterator>
#include <map>
#include <set>
#include <sstream>
#include <thread>

using namespace beds;
using namespace std::chrono_literals;

namespace {

/// Sessions beside those of brokers: one ends late statements, one prunes the inbox.
constexpr int for_all = 2;

/// Of the database's sessions, not counting the one that asks.
std::set<std::string> sessions(const test::database& of) {
    std::istringstream rows{of.sql("SELECT id FROM information_schema.processlist WHERE db = '" +
                                   of.name() +
                                   "' AND id <> CONNECTION_ID() AND user <> 'system user'")};
    return {std::istream_iterator<std::string>{rows}, {}};
}

/// The list says nothing of the database of a session that is busy in the moment.
std::set<std::string> steady_sessions(const test::database& of) {
    auto all = sessions(of);
    for (int again = 0; again < 3; ++again) {
        all.merge(sessions(of));
    }
    return all;
}

bool replaced(const test::running_node& of, node::node& node) {
    const auto until = core::deadline::after(20s);
    while (node.status().replacement.under_way && !until.expired()) {
        std::this_thread::sleep_for(2ms);
    }
    INFO(of.log());
    const auto last = node.status().replacement;
    CHECK(last.replaced == last.of);
    return last.of > 0 && last.replaced == last.of;
}

} // namespace

TEST_CASE(
    "brokers are replaced five times under load: every request is answered once, none fails") {
    const auto rabbitmq = test::require_amqp();
    const auto where = test::require_mariadb();
    const auto control = test::shared_servers();
    test::database data{where, control};
    test::make_counters(data, 8);
    // A group of one and a group of several.
    test::node_options options{.rel = {.read = 3, .write = 1, .bulk = 0}, .max_batch = 16};
    options.templates = test::counter_templates();
    const auto rel = data.settings();
    test::running_node nodes{rabbitmq, &rel, options};
    auto& node = nodes.node();
    REQUIRE(node.wait_ready(core::deadline::after(15s)));

    std::atomic<bool> stop{false};
    std::atomic<int> sent{0};
    std::atomic<int> writes{0};
    std::map<std::string, int> answered;
    std::string wrong;
    std::thread load{[&] {
        test::raw_client raw{rabbitmq, nodes.tag()};
        int waiting = 0;
        const auto take = [&](std::chrono::milliseconds within) {
            if (const auto got = raw.reply(within)) {
                ++answered[got->correlation_id];
                --waiting;
                wrong += got->body.find(R"("status":"ok")") == std::string::npos ? got->body : "";
                return true;
            }
            return false;
        };
        while (!stop) {
            const auto id = std::to_string(++sent);
            const auto key = std::to_string(sent % 8 + 1);
            const bool write = sent % 2 == 0;
            writes += write ? 1 : 0;
            raw.publish(
                {.key = write ? "counters.write" : "counters.read",
                 .body = write ? R"({"v":1,"template":"counters","op":"update","key":)" + key +
                                     R"(,"inc":{"value":1}})"
                               : R"({"v":1,"template":"counters","op":"fetch","key":)" + key + "}",
                 .message_id = "replace-" + id,
                 .correlation_id = id,
                 .reply_to = raw.reply_queue()});
            ++waiting;
            if (sent % 10 == 0) {
                raw.settle();
                while (waiting > 100 && take(20s)) {
                }
            }
        }
        raw.settle();
        while (waiting > 0 && take(20s)) {
        }
        wrong += raw.reply(300ms) ? " an answer too many" : "";
    }};
    bool always_ready = true;
    std::size_t most_sessions = 0;
    auto before = sessions(data);
    std::thread watcher{[&] {
        while (!stop) {
            always_ready = always_ready && node.status().ready;
            most_sessions = std::max(most_sessions, sessions(data).size());
        }
    }};
    for (int round = 0; round < 5; ++round) {
        const auto done = sent.load();
        CHECK(node.replace_brokers());
        CHECK(replaced(nodes, node));
        const auto now = steady_sessions(data);
        // What stays belongs to the connection, not to a broker.
        CHECK(std::count_if(now.begin(), now.end(),
                            [&](const auto& id) { return before.contains(id); }) <= for_all);
        CHECK(now.size() >= 4);
        before = now;
        const auto until = core::deadline::after(10s);
        while (sent < done + 200 && !until.expired()) {
            std::this_thread::sleep_for(1ms);
        }
    }
    stop = true;
    load.join();
    watcher.join();
    INFO(nodes.log() << wrong);
    CHECK(wrong.empty());
    CHECK(always_ready);
    CHECK(answered.size() == static_cast<std::size_t>(sent.load()));
    for (const auto& [id, count] : answered) {
        CHECK(count == 1);
    }
    CHECK(data.number("SELECT SUM(value) FROM counters") == writes);
    CHECK(data.number("SELECT COUNT(*) FROM beds_inbox") == writes);
    CHECK(most_sessions <= 4 + for_all);
    // The books go on where they were.
    const auto brokers = node.status().brokers;
    CHECK(nodes.sum(&observe::broker_counters::amqp_connects) == brokers.size() * 6);
    CHECK(nodes.sum(&observe::broker_counters::backend_connects) == brokers.size() * 6);
    CHECK(nodes.sum(&observe::broker_counters::messages) >= answered.size());
    // Delivered again: of the 100 that may be waiting a few for each of 20 brokers that ended. (How
    // few they are of many is shown with nodes that stop.)
    CHECK(nodes.sum(&observe::broker_counters::quarantined) <= 60);
    for (const auto& one : node.traffic()) {
        CHECK(one.missing() == 0);
    }
    CHECK(nodes.log().find("4 of 4 replaced") != std::string::npos);
    CHECK(nodes.log().find("warning") == std::string::npos);
}

TEST_CASE("a second request while brokers are replaced changes nothing, and a stop ends it") {
    const auto rabbitmq = test::require_amqp();
    const auto where = test::require_mariadb();
    const auto control = test::shared_servers();
    test::database data{where, control};
    test::make_counters(data, 1);
    test::node_options options{.rel = {.read = 1, .write = 2, .bulk = 0}};
    options.templates = test::counter_templates();
    const auto rel = data.settings();
    test::running_node nodes{rabbitmq, &rel, options};
    auto& node = nodes.node();
    CHECK(node.wait_ready(core::deadline::after(15s)));
    auto client = nodes.new_client();
    // Somebody holds the row, so the broker that has the write cannot finish.
    auto held = std::async(std::launch::async, [&] {
        return client->call(client::call("counters", "slow", {{"id", 1}, {"seconds", 2.0}}));
    });
    const auto until = core::deadline::after(10s);
    while (data.number("SELECT COUNT(*) FROM information_schema.processlist WHERE db = '" +
                       data.name() + "' AND info LIKE '%SLEEP%' AND id <> CONNECTION_ID()") == 0 &&
           !until.expired()) {
        std::this_thread::sleep_for(5ms);
    }
    CHECK(node.replace_brokers());
    CHECK_FALSE(node.replace_brokers());
    CHECK(nodes.log().find("BEDS_REPLACE_IGNORED brokers are being replaced already") !=
          std::string::npos);
    CHECK(client->call(client::fetch("counters", 1)).ok());
    CHECK(node.stop(core::deadline::after(10s)));
    CHECK(held.get().ok());
    CHECK_FALSE(node.status().replacement.under_way);
    CHECK(nodes.log().find("then the node was stopped") != std::string::npos);
    CHECK_FALSE(node.replace_brokers());
    CHECK(sessions(data).empty());
}
