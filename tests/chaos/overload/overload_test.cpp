#include "faults/fixture.hpp"

#include <array>

using namespace beds;
using namespace beds::test;
using steady = std::chrono::steady_clock;

namespace {

/// What became of calls that are made at a rate, whether or not those before were answered.
struct outcome_counts {
    std::atomic<int> sent{0}, done{0}, overloaded{0}, late{0}, other{0}, without_hint{0};
    std::mutex mutex;
    std::vector<std::chrono::milliseconds> times; ///< of those that were done

    [[nodiscard]] std::chrono::milliseconds median() {
        const std::lock_guard lock{mutex};
        if (times.empty()) {
            return 0ms;
        }
        auto sorted = times;
        std::nth_element(sorted.begin(), sorted.begin() + static_cast<long>(sorted.size() / 2),
                         sorted.end());
        return sorted[sorted.size() / 2];
    }
    [[nodiscard]] std::string text() const {
        return "sent " + std::to_string(sent) + ", done " + std::to_string(done) + ", overloaded " +
               std::to_string(overloaded) + ", late " + std::to_string(late) + ", other " +
               std::to_string(other);
    }
};

/// A call that takes the database 20 ms, so that its capacity is known: 50 a second for a broker.
client::operation slow_raise() {
    auto made = client::call("counters", "slow");
    made.args = client::value::object({{"id", 1}, {"seconds", 0.02}});
    return made;
}

void open_loop(client::client& through, double per_second, std::chrono::milliseconds time,
               outcome_counts& seen) {
    const auto began = steady::now();
    const auto total = static_cast<int>(per_second * static_cast<double>(time.count()) / 1000.0);
    std::atomic<int> open{0};
    for (int i = 0; i < total; ++i) {
        std::this_thread::sleep_until(
            began + std::chrono::duration_cast<steady::duration>(
                        std::chrono::duration<double>{static_cast<double>(i) / per_second}));
        ++seen.sent;
        ++open;
        const auto asked = steady::now();
        through.submit(slow_raise(), core::deadline::after(2s),
                       [&seen, &open, asked](const client::reply& got) {
                           const auto& one = got.front();
                           if (one.ok()) {
                               ++seen.done;
                               const std::lock_guard lock{seen.mutex};
                               seen.times.push_back(
                                   std::chrono::duration_cast<std::chrono::milliseconds>(
                                       steady::now() - asked));
                           } else if (one.code() == core::code::overloaded) {
                               ++seen.overloaded;
                               seen.without_hint +=
                                   one.retry_after() <= 0ms || one.effect() != core::effect::none;
                           } else if (one.code() == core::code::deadline_exceeded) {
                               ++seen.late;
                           } else {
                               ++seen.other;
                           }
                           --open;
                       });
    }
    while (open > 0) {
        std::this_thread::sleep_for(5ms);
    }
}

} // namespace

TEST_CASE("above its capacity a node refuses at once and goes on at full speed") {
    chaos_world world;
    world.options.rel = {.read = 1, .write = 1, .bulk = 0};
    world.options.max_queue_length = 10;
    world.options.prefetch = 8;
    world.start_ready();
    const auto client = world.running->new_client();
    REQUIRE(client->call(slow_raise(), 5s).ok());

    outcome_counts calm;
    open_loop(*client, 20, 3s, calm);
    INFO("calm: " << calm.text() << ", median " << calm.median().count() << " ms");
    CHECK(calm.done == calm.sent);

    // What it can do at all: as many callers as fill it, each with its next call at once.
    std::atomic<int> peak_done{0};
    constexpr auto peak_time = 2s;
    {
        std::vector<std::thread> busy;
        const auto until = steady::now() + peak_time;
        for (int i = 0; i < 4; ++i) {
            busy.emplace_back([&] {
                while (steady::now() < until) {
                    peak_done += client->call(slow_raise(), 5s).ok() ? 1 : 0;
                }
            });
        }
        for (auto& each : busy) {
            each.join();
        }
    }
    const auto peak = peak_done / std::chrono::duration<double>{peak_time}.count();

    outcome_counts storm;
    const auto storm_time = in_full() ? 60s : 6s;
    const auto began = steady::now();
    open_loop(*client, 150, storm_time, storm);
    const std::chrono::duration<double> took = steady::now() - began;
    INFO("storm: " << storm.text() << " in " << took.count() << " s");
    CHECK(storm.overloaded > 0);
    CHECK(storm.without_hint == 0);
    CHECK(storm.other == 0);
    INFO("peak: " << peak << " a second");
    // Over a few seconds a machine that is shared may be slower than in the two of the peak.
    CHECK(storm.done / took.count() >= (in_full() ? 0.8 : 0.6) * peak);
    CHECK(storm.done >= 0.95 * (storm.done + storm.late));

    outcome_counts after;
    open_loop(*client, 20, 3s, after);
    INFO("after: " << after.text() << ", median " << after.median().count() << " ms");
    CHECK(after.done == after.sent);
    CHECK(after.median() <= 2 * calm.median() + 20ms);

    // Nobody was told `none` or `OVERLOADED` of what was done.
    const auto raised = world.data.number("SELECT value FROM counters WHERE id = 1");
    const auto done = 1 + peak_done + calm.done + storm.done + after.done;
    CHECK(raised >= done);
    CHECK(raised <= done + storm.late);
}

TEST_CASE("reads whose deadline passed while they waited are not run") {
    chaos_world world;
    world.options.rel = {.read = 1, .write = 1, .bulk = 0};
    world.start_ready();
    REQUIRE(world.running->node().stop(core::deadline::after(10s)));
    raw_client raw{servers().amqp(), world.running->tag()};
    const auto in = [](std::chrono::milliseconds time) {
        return std::chrono::duration_cast<std::chrono::milliseconds>(
                   std::chrono::system_clock::now().time_since_epoch() + time)
            .count();
    };
    for (int i = 0; i < 20; ++i) {
        raw.publish({.key = i % 2 == 0 ? "counters.read" : "counters.write",
                     .body = i % 2 == 0 ? R"({"v":1,"template":"counters","op":"fetch","key":1})"
                                        : R"({"v":1,"template":"counters","op":"update","key":1,)"
                                          R"("inc":{"value":1}})",
                     .message_id = "late-" + std::to_string(i),
                     .reply_to = raw.reply_queue(),
                     .integer_headers = {{"beds-deadline", in(300ms)}}});
    }
    REQUIRE(raw.settle());
    std::this_thread::sleep_for(600ms);
    world.options.tag = world.running->tag();
    world.start_ready();
    for (int i = 0; i < 20; ++i) {
        const auto answer = raw.reply();
        REQUIRE(answer);
        INFO(answer->body);
        CHECK(answer->body.find("\"code\":\"DEADLINE_EXCEEDED\"") != std::string::npos);
        CHECK(answer->body.find("\"effect\":\"none\"") != std::string::npos);
    }
    CHECK(world.data.number("SELECT value FROM counters WHERE id = 1") == 0);
}

TEST_CASE("callers are served in the order in which they came, and who is late leaves the queue") {
    chaos_world world;
    world.options.rel = {.read = 1, .write = 1, .bulk = 0};
    world.start_ready();
    raw_client raw{servers().amqp(), world.running->tag()};
    const auto publish = [&](const std::string& number, std::string body,
                             std::chrono::milliseconds time) {
        const auto until = std::chrono::system_clock::now().time_since_epoch() + time;
        raw.publish({.key = "counters.write",
                     .body = std::move(body),
                     .message_id = "fifo-" + number,
                     .correlation_id = number,
                     .reply_to = raw.reply_queue(),
                     .integer_headers = {
                         {"beds-deadline",
                          std::chrono::duration_cast<std::chrono::milliseconds>(until).count()}}});
    };
    publish(
        "first",
        R"({"v":1,"template":"counters","op":"call","name":"slow","args":{"id":1,"seconds":0.8}})",
        10s);
    REQUIRE(raw.settle());
    std::this_thread::sleep_for(200ms); // the only broker is at it
    constexpr int callers = 50;
    for (int i = 0; i < callers; ++i) {
        publish(std::to_string(i),
                R"({"v":1,"template":"counters","op":"update","key":2,"inc":{"value":1}})",
                i % 5 == 0 ? 300ms : 10s);
    }
    REQUIRE(raw.settle());
    std::vector<std::string> order;
    for (int i = 0; i <= callers; ++i) {
        const auto answer = raw.reply();
        REQUIRE(answer);
        INFO(answer->correlation_id << ": " << answer->body);
        const bool done = answer->body.find("\"status\":\"ok\"") != std::string::npos;
        if (answer->correlation_id == "first" || std::stoi(answer->correlation_id) % 5 != 0) {
            CHECK(done);
            order.push_back(answer->correlation_id);
        } else {
            CHECK(answer->body.find("\"code\":\"DEADLINE_EXCEEDED\"") != std::string::npos);
            CHECK(answer->body.find("\"effect\":\"none\"") != std::string::npos);
        }
    }
    std::vector<std::string> sent{"first"};
    for (int i = 0; i < callers; ++i) {
        if (i % 5 != 0) {
            sent.push_back(std::to_string(i));
        }
    }
    CHECK(order == sent);
    CHECK(world.data.number("SELECT value FROM counters WHERE id = 2") == callers - callers / 5);
}
