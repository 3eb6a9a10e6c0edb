#include "integration/concurrency/world.hpp"
#include "support/folder.hpp"

#include <atomic>
#include <future>

using namespace beds;
using test::contains;

namespace {

/// Four callers at once, each with envelopes of its own order; all must be applied.
template <typename Envelope>
void send_from_four(const test::counters_world& in, int envelopes, Envelope&& envelope) {
    std::vector<std::future<std::string>> callers;
    for (int caller = 0; caller < 4; ++caller) {
        callers.push_back(std::async(std::launch::async, [&, caller] {
            const auto client = in.running->new_client();
            std::string wrong;
            for (int i = 0; i < envelopes; ++i) {
                client::request request;
                request.operations = envelope(caller);
                request.enveloped = true;
                const auto got = client->call(request);
                wrong += got.ok() ? "" : got.json() + '\n';
            }
            return wrong;
        }));
    }
    for (auto& one : callers) {
        CHECK(one.get().empty());
    }
}

} // namespace

TEST_CASE("a broker takes what is there as one batch") {
    test::counters_world on{8, {.rel = {.read = 1, .write = 1, .bulk = 0}}};
    on.start();
    on.running.reset(); // its queues stay
    test::raw_client raw{on.rabbitmq, on.options.tag};
    constexpr unsigned messages = 300;
    for (unsigned i = 0; i < messages; ++i) {
        raw.publish({.key = "counters.read",
                     .body = R"({"v":1,"template":"counters","op":"fetch","key":1})",
                     .reply_to = raw.reply_queue()});
    }
    REQUIRE(raw.settle());
    on.start();
    for (unsigned i = 0; i < messages; ++i) {
        REQUIRE(raw.reply());
    }
    CHECK(on.running->sum(&observe::broker_counters::messages) == messages);
    CHECK(on.running->sum(&observe::broker_counters::batches) <= 20);
    std::uint32_t largest = 0;
    for (const auto& one : on.running->node().status().brokers) {
        largest = std::max(largest, one.largest_batch);
    }
    CHECK(largest >= 50);
}

TEST_CASE("operations of a batch lock rows and tables in one order, so none is run again") {
    // Every envelope is a batch.
    test::counters_world on{8, {.rel = {.read = 0, .write = 4, .bulk = 0}, .max_batch = 1}};
    on.data.sql("INSERT INTO marks VALUES ('a', 0)");
    on.start();
    constexpr int envelopes = 60;
    SECTION("rows of one table, asked for in opposite orders") {
        send_from_four(on, envelopes, [](int caller) {
            std::vector<client::operation> made;
            for (int i = 0; i < 8; ++i) {
                made.push_back(test::raise(caller % 2 == 0 ? i + 1 : 8 - i));
            }
            return made;
        });
        CHECK(on.data.number("SELECT SUM(value) FROM counters") == 4 * envelopes * 8);
    }
    SECTION("two tables, whatever is done to them and in which order it is asked for") {
        send_from_four(on, envelopes, [number = std::atomic<int>{0}](int caller) mutable {
            const int kind = number++;
            auto counter = client::update("counters", 1, {});
            auto mark = client::update("marks", "a", {});
            const auto value = client::value::object({{"value", kind}});
            const auto note = client::value::object({{"note", std::to_string(kind)}});
            (kind % 2 == 0 ? mark.inc : mark.set) = value;
            switch (kind % 5) {
            case 0:
                counter.set = value;
                break;
            case 1:
                counter.set = client::value::object({{"value", kind}, {"note", "both"}});
                break;
            case 2:
                counter.inc = value;
                break;
            case 3:
                counter.inc = value;
                [[fallthrough]];
            default:
                counter.set = note;
            }
            std::vector<client::operation> made{counter, mark};
            if (caller % 2 != 0) {
                std::swap(made[0], made[1]);
            }
            return made;
        });
    }
    CHECK(on.running->sum(&observe::broker_counters::reruns) == 0);
}

TEST_CASE("a procedure that commits harms no neighbour, and is labelled") {
    std::string counters{test::counters_template};
    counters += R"(
[calls.commits]
procedure = "commits"
class = "write"
args = [["id", "int64"]]
)";
    test::counters_world on{8,
                            {.rel = {.read = 1, .write = 1, .bulk = 0},
                             .templates = {counters, std::string{test::marks_template}}}};
    on.data.sql("DELIMITER //\nCREATE PROCEDURE commits(IN p_id BIGINT) MODIFIES SQL DATA\nBEGIN\n"
                "UPDATE counters SET value = value + 100 WHERE id = p_id;\nCOMMIT;\nEND //\n"
                "DELIMITER ;\n");
    on.start();
    const auto client = on.running->new_client();
    const auto values = [&] {
        return on.data.sql("SELECT GROUP_CONCAT(value ORDER BY id) FROM counters WHERE id < 4");
    };

    client::request mixed;
    mixed.operations = {test::raise(1), client::call("counters", "commits", {{"id", 2}}),
                        test::raise(99), test::raise(3)};
    mixed.enveloped = true;
    mixed.id = "mixed";
    const auto got = client->call(mixed);
    INFO(got.json());
    REQUIRE(got.size() == 4);
    CHECK(got[0].effect() == core::effect::applied);
    CHECK(got[1].effect() == core::effect::applied);
    CHECK(got[2].code() == core::code::not_found);
    CHECK(got[3].effect() == core::effect::applied);
    CHECK(values() == "1,100,1");
    for (std::size_t i = 0; i < 4; ++i) {
        CHECK(got[i].at_least_once() == (i == 1));
    }
    // Sent again: it happens once all the same, because its inbox row was there.
    CHECK(client->call(mixed)[1].effect() == core::effect::applied);
    CHECK(values() == "1,100,1");

    auto atomic = mixed;
    atomic.operations.erase(atomic.operations.begin() + 2);
    atomic.mode = core::envelope_mode::atomic;
    atomic.id = "atomic";
    const auto refused = client->call(atomic);
    INFO(refused.json());
    CHECK(refused.front().code() == core::code::unsupported);
    CHECK(values() == "1,100,1");

    const auto described = client->call(client::describe("counters"));
    INFO(described.json());
    CHECK(contains(described.json(), "at_least_once"));
}
