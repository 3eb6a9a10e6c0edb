#include "integration/concurrency/world.hpp"

#include <atomic>
#include <future>
#include <map>
#include <mutex>
#include <random>
#include <set>
#include <thread>

using namespace beds;
using namespace std::chrono_literals;

namespace {

/// What the callers were told, to be compared with what is in the tables.
struct account {
    std::map<std::int64_t, std::int64_t> counters;
    std::uint64_t marks = 0;
    std::uint64_t acknowledged = 0; ///< operations
    std::uint64_t sent_again = 0;
    std::string wrong{};

    void add(const account& other) {
        for (const auto& [id, value] : other.counters) {
            counters[id] += value;
        }
        marks += other.marks;
        acknowledged += other.acknowledged;
        sent_again += other.sent_again;
        wrong += other.wrong;
    }
};

struct planned_operation {
    client::operation op;
    std::vector<std::pair<std::int64_t, std::int64_t>> changes; ///< counter and by how much
    bool mark = false;
};

planned_operation random_operation(std::mt19937_64& random, int rows, const std::string& unique) {
    const auto row = [&] {
        return static_cast<std::int64_t>(random() % static_cast<unsigned>(rows)) + 1;
    };
    const auto by = static_cast<std::int64_t>(random() % 9) + 1;
    switch (random() % 8) {
    case 0: {
        const auto from = row();
        const auto to = from % rows + 1;
        return {client::call("counters", "move", {{"from", from}, {"to", to}, {"amount", by}}),
                {{from, -by}, {to, by}}};
    }
    case 1:
    case 2:
        return {client::insert("marks", {{"id", unique}, {"value", by}}), {}, true};
    default: {
        const auto id = row();
        return {test::raise(id, by), {{id, by}}};
    }
    }
}

account work(client::client& through, std::uint64_t seed, int rows, int envelopes, int size) {
    std::mt19937_64 random{seed};
    account made;
    std::mutex mutex;
    std::vector<std::future<void>> under_way;
    for (int e = 0; e < envelopes; ++e) {
        std::vector<planned_operation> plan;
        client::request request;
        for (int i = 0; i < size; ++i) {
            plan.push_back(random_operation(random, rows,
                                            std::to_string(seed) + "-" + std::to_string(e) + "-" +
                                                std::to_string(i)));
            request.operations.push_back(plan.back().op);
        }
        request.enveloped = true;
        request.mode = e % 5 == 0   ? core::envelope_mode::atomic
                       : e % 5 == 1 ? core::envelope_mode::sequence
                                    : core::envelope_mode::each;
        request.id = "m-" + std::to_string(seed) + "-" + std::to_string(e);
        const auto done = std::make_shared<std::promise<void>>();
        under_way.push_back(done->get_future());
        // Sent again until it is answered for good: a busy row is no answer.
        const auto send = std::make_shared<std::function<void()>>();
        *send = [&, send, plan = std::move(plan), request, done] {
            through.submit(
                request, core::deadline::after(30s), [&, send, plan, done](client::reply got) {
                    for (std::size_t i = 0; i < got.size(); ++i) {
                        if (!got[i].ok() &&
                            (got[i].retryable() || got[i].code() == core::code::skipped)) {
                            {
                                const std::lock_guard lock{mutex};
                                ++made.sent_again;
                            }
                            (*send)();
                            return;
                        }
                    }
                    {
                        const std::lock_guard lock{mutex};
                        for (std::size_t i = 0; i < got.size(); ++i) {
                            if (got[i].effect() != core::effect::applied) {
                                made.wrong += got.json().substr(0, 300) + "\n";
                                continue;
                            }
                            ++made.acknowledged;
                            made.marks += plan[i].mark ? 1U : 0U;
                            for (const auto& [id, by] : plan[i].changes) {
                                made.counters[id] += by;
                            }
                        }
                    }
                    auto finished = done;
                    *send = {}; // ends the circle; nothing of this call may be used from here on
                    finished->set_value();
                });
        };
        (*send)();
        if (under_way.size() >= 16) {
            under_way.front().wait();
            under_way.erase(under_way.begin());
        }
    }
    for (const auto& one : under_way) {
        one.wait();
    }
    return made;
}

} // namespace

TEST_CASE("four write brokers on overlapping keys: what was acknowledged is what is there") {
    constexpr int rows = 12;
    constexpr int envelopes = 150;
    constexpr int size = 6;
    test::counters_world world{rows, {.rel = {.read = 1, .write = 4, .bulk = 0}, .max_batch = 32}};
    world.start();
    const auto seed = std::random_device{}() % 1'000'000U;
    INFO("seed " << seed);

    account total;
    std::vector<std::future<account>> callers;
    std::vector<std::unique_ptr<client::client>> clients;
    for (unsigned i = 0; i < 4; ++i) {
        clients.push_back(world.running->new_client());
    }
    for (unsigned i = 0; i < 4; ++i) {
        callers.push_back(std::async(std::launch::async, [&, i] {
            return work(*clients[i], seed * 10U + i, rows, envelopes, size);
        }));
    }
    for (auto& one : callers) {
        total.add(one.get());
    }
    INFO("sent again: " << total.sent_again << '\n' << total.wrong << world.running->log());
    CHECK(total.wrong.empty());
    CHECK(total.acknowledged == 4U * envelopes * size);
    for (int id = 1; id <= rows; ++id) {
        INFO("counter " << id);
        CHECK(world.data.number("SELECT value FROM counters WHERE id = " + std::to_string(id)) ==
              total.counters[id]);
    }
    CHECK(world.data.number("SELECT COUNT(*) FROM marks") == static_cast<long long>(total.marks));
    CHECK(world.data.number("SELECT COUNT(*) FROM beds_inbox") ==
          static_cast<long long>(total.acknowledged));
    // `move` locks in the order it is told: there were deadlocks, and they were run again.
    CHECK(world.running->sum(&observe::broker_counters::reruns) > 0);
    CHECK(world.running->sum(&observe::broker_counters::unknown) == 0);
}

TEST_CASE("every message five times at once over three nodes: one effect, five identical replies") {
    constexpr int messages = 200;
    constexpr int copies = 5;
    test::counters_world world{4, {.rel = {.read = 1, .write = 2, .bulk = 0}, .max_batch = 32}};
    world.start();
    const auto rel = world.data.settings();
    std::vector<std::unique_ptr<test::running_node>> others;
    for (int i = 0; i < 2; ++i) {
        others.push_back(std::make_unique<test::running_node>(world.rabbitmq, &rel, world.options));
        REQUIRE(others.back()->ready(15s));
    }

    std::mutex mutex;
    std::map<std::string, std::vector<std::string>> answers;
    const auto send = [&](unsigned seed) {
        test::raw_client raw{world.rabbitmq, world.running->tag()};
        std::vector<int> order;
        for (int i = 0; i < messages; ++i) {
            order.push_back(i);
        }
        // Not quite the same order, and close enough to meet.
        std::mt19937 random{seed};
        for (std::size_t i = 0; i + 8 < order.size(); i += 8) {
            std::shuffle(order.begin() + static_cast<std::ptrdiff_t>(i),
                         order.begin() + static_cast<std::ptrdiff_t>(i) + 8, random);
        }
        for (const auto i : order) {
            const auto id = std::to_string(i);
            std::string body;
            if (i % 4 == 0) { // the second time it would be refused
                body = R"({"v":1,"template":"marks","op":"insert","data":{"id":")" + id + R"("}})";
            } else if (i % 4 == 1) {
                body = R"({"v":1,"template":"counters","op":"call","name":"move","args":)"
                       R"({"from":1,"to":2,"amount":1}})";
            } else if (i % 4 == 2) { // refused for good, each time alike
                body = R"({"v":1,"template":"counters","op":"update","key":99,"inc":{"value":1}})";
            } else {
                body = R"({"v":1,"ops":[{"template":"counters","op":"update","key":3,"inc":)"
                       R"({"value":1}},{"template":"counters","op":"update","key":4,"inc":)"
                       R"({"value":1}}]})";
            }
            raw.publish({.key = "counters.write",
                         .body = body,
                         .message_id = "dup-" + id,
                         .correlation_id = id,
                         .reply_to = raw.reply_queue()});
        }
        const bool sent = raw.settle();
        for (int i = 0; sent && i < messages; ++i) {
            const auto got = raw.reply(30s);
            if (!got) {
                break;
            }
            const std::lock_guard lock{mutex};
            answers[got->correlation_id].push_back(got->body.substr(got->body.find("\"status\"")));
        }
    };
    std::vector<std::thread> senders;
    for (unsigned i = 0; i < copies; ++i) {
        senders.emplace_back(send, i);
    }
    for (auto& one : senders) {
        one.join();
    }
    REQUIRE(answers.size() == messages);
    for (const auto& [id, got] : answers) {
        INFO("message " << id);
        REQUIRE(got.size() == copies);
        CHECK(std::set<std::string>{got.begin(), got.end()}.size() == 1);
        const bool missing = std::stoi(id) % 4 == 2;
        CHECK((got[0].find(missing ? "NOT_FOUND" : R"("effect":"applied")") != std::string::npos));
    }
    CHECK(world.data.number("SELECT COUNT(*) FROM marks") == messages / 4);
    CHECK(world.data.sql("SELECT value FROM counters ORDER BY id") == "-50\n50\n50\n50");
    CHECK(world.data.number("SELECT COUNT(*) FROM beds_inbox") == messages + messages / 4);
}

TEST_CASE("a stored answer that comes damaged from the database is nobody's: unknown, and kept") {
    test::counters_world world{2, {}};
    world.start();
    const auto client = world.running->new_client();
    client::request raise{test::raise(1)};
    raise.id = "damaged";
    REQUIRE(client->call(raise, 5s).front().effect() == core::effect::applied);
    for (const char* const change : {R"('"status"', '"statur"')", R"('"effect":', '"effect"!')",
                                     R"('"applied"', '"applies"')"}) {
        INFO(change);
        const auto stored = world.data.sql("SELECT HEX(reply) FROM beds_inbox");
        world.data.sql("UPDATE beds_inbox SET reply = REPLACE(reply, " + std::string{change} + ")");
        REQUIRE(world.data.sql("SELECT HEX(reply) FROM beds_inbox") != stored);
        const auto again = client->call(raise, 5s);
        INFO(again.json());
        CHECK(again.front().code() == core::code::backend_unavailable);
        CHECK(again.front().effect() == core::effect::unknown);
        CHECK(again.front().retry_after() > 0ms);
        world.data.sql("UPDATE beds_inbox SET reply = UNHEX('" + stored + "')");
    }
    CHECK(client->call(raise, 5s).front().effect() == core::effect::applied);
    CHECK(world.data.number("SELECT value FROM counters WHERE id = 1") == 1);
}
