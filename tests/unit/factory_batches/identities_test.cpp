#include "support/catch.hpp"

#include <beds/adapters/memory.hpp>
#include <beds/factory/factory.hpp>
#include <beds/wire/reply.hpp>
#include <beds/wire/request.hpp>

#include <deque>

using namespace beds;
using Catch::Contains;
using namespace std::chrono_literals;

namespace {

constexpr std::string_view item_fields = R"(
store = "rel"
object = "things"
key = ["id"]
[fields]
id = { type = "int64", required = true }
n = { type = "int64", default = 0 }
)";

templates::template_def named(const std::string& name, const std::string& connection = "mem") {
    auto parsed = templates::parse("[template]\nname = \"" + name + "\"\nconnection = \"" +
                                   connection + "\"" + std::string{item_fields});
    REQUIRE(parsed.parsed);
    return std::move(*parsed.parsed);
}

std::string insert(const std::string& id, int key) {
    return R"({"id":")" + id + R"(","template":"alpha","op":"insert","data":{"id":)" +
           std::to_string(key) + "}}";
}

std::string envelope(const std::string& mode, const std::string& operations) {
    return R"({"v":1,"mode":")" + mode + R"(","ops":[)" + operations + "]}";
}

/// A factory over the memory engine; every call is one batch.
struct shop {
    explicit shop(factory::settings given = {}, const core::clock& clock = core::machine_clock())
        : work(registry, {adapters::make_memory("mem")}, "mem", {}, given, clock) {}

    struct sent {
        sent(std::string text) : body(std::move(text)) {}
        std::string body;
        bool redelivered = false;
        factory::source source = factory::source::requests;
        std::string key{};
    };

    std::vector<std::string> operator()(std::initializer_list<sent> given) {
        memory.reset();
        bodies.assign(given);
        std::vector<factory::message> messages;
        for (const auto& one : bodies) {
            auto& made = messages.emplace_back();
            REQUIRE_FALSE(decoder.decode(one.body, memory, made.request));
            made.request.principal = "tester";
            made.request.message_id = "message";
            made.request.redelivered = one.redelivered;
            made.source = one.source;
            made.routing_key = one.key;
        }
        writer.start(factory::factory::count(messages));
        work.run(messages, writer, memory, counters);
        std::vector<std::string> replies;
        for (const auto& one : messages) {
            writer.append_reply(replies.emplace_back(), "", one.request.enveloped, one.first,
                                one.results);
        }
        return replies;
    }
    std::string operator()(const std::string& body) { return (*this)({sent{body}}).front(); }
    bool has(int key) {
        return (*this)(R"({"v":1,"template":"alpha","op":"fetch","key":)" + std::to_string(key) +
                       "}")
                   .find(R"("rows":[{)") != std::string::npos;
    }

    std::shared_ptr<const templates::registry> registry =
        std::make_shared<const templates::registry>(
            std::vector{named("alpha"), named("zeta"), named("far", "other")});
    factory::factory work;
    wire::request_decoder decoder;
    wire::reply_writer writer;
    core::arena memory;
    observe::live_counters counters;
    std::deque<sent> bodies;
};

} // namespace

TEST_CASE("an atomic envelope whose ids clash is refused as a whole") {
    shop run;
    const auto reply = run(envelope("atomic", insert("x", 1) + "," + insert("x", 2)));
    CHECK_THAT(reply, Contains("ID_REUSED") && Contains("SKIPPED") && !Contains("applied"));
    CHECK_FALSE(run.has(1));

    CHECK_THAT(run(envelope("each", insert("r", 20))), Contains("applied"));
    const auto known = run(envelope("atomic", insert("r", 22) + "," + insert("r2", 21)));
    CHECK_THAT(known, Contains("ID_REUSED") && Contains("SKIPPED") && !Contains("applied"));
    CHECK_FALSE(run.has(21));

    const std::string miss = R"({"id":"q","template":"alpha","op":"delete","key":99})";
    CHECK_THAT(run(envelope("each", miss)), Contains("NOT_FOUND"));
    const auto failed = run(envelope("atomic", miss + "," + insert("q2", 6)));
    CHECK_THAT(failed, Contains("NOT_FOUND") && Contains("SKIPPED") && !Contains("applied"));
    CHECK_FALSE(run.has(6));
}

TEST_CASE("a sequence stops behind an id that is used already") {
    shop run;
    const auto reply =
        run(envelope("sequence", insert("y", 3) + "," + insert("y", 4) + "," + insert("w", 5)));
    CHECK_THAT(reply, Contains("ID_REUSED") && Contains("SKIPPED"));
    CHECK(run.has(3));
    CHECK_FALSE(run.has(4));
    CHECK_FALSE(run.has(5));
}

TEST_CASE("a copy of an operation that was skipped elsewhere is run by itself") {
    shop run;
    // The atomic envelope fails at its second operation; its first one stands in another message
    // too.
    const auto replies =
        run({envelope("atomic",
                      insert("a", 1) + R"(,{"id":"b","template":"alpha","op":"delete","key":77})"),
             envelope("each", insert("a", 1))});
    CHECK_THAT(replies[0], Contains("NOT_FOUND") && Contains("SKIPPED"));
    CHECK_THAT(replies[1], Contains(R"("effect":"applied")"));
    CHECK(run.has(1));
}

TEST_CASE("the same envelope twice in one batch is applied once and answered twice") {
    shop run;
    for (const std::string mode : {"each", "sequence", "atomic"}) {
        const int key = static_cast<int>(mode.size()) * 10;
        const auto text =
            envelope(mode, insert(mode + "1", key) + "," + insert(mode + "2", key + 1));
        const auto replies = run({text, text, text});
        INFO(replies[0] << "\n" << replies[1]);
        CHECK_THAT(replies[0], Contains(R"("status":"ok")") && !Contains("error"));
        CHECK(replies[1] == replies[0]);
        CHECK(replies[2] == replies[0]);
        CHECK(run(text) == replies[0]);
    }
}

TEST_CASE("an atomic envelope that shares an id with a failing one is whole or not at all") {
    shop run;
    const auto replies =
        run({envelope("atomic",
                      insert("a", 1) + R"(,{"id":"b","template":"alpha","op":"delete","key":77})"),
             envelope("atomic", insert("a", 1) + "," + insert("c", 2))});
    CHECK_THAT(replies[0], Contains("NOT_FOUND"));
    CHECK_THAT(replies[1], Contains(R"("status":"ok","results")"));
    CHECK(run.has(1));
    CHECK(run.has(2));
}

TEST_CASE("a write that comes too late gets its first reply, if it had one") {
    shop run;
    const auto write = [](const std::string& deadline) {
        return R"({"v":1,"ops":[{"id":"late","deadline":)" + deadline +
               R"(,"template":"alpha","op":"insert","data":{"id":1}}]})";
    };
    const auto first = run(write("4000000000000"));
    CHECK_THAT(first, Contains(R"("effect":"applied")"));
    CHECK(run(write("1000")) == first);

    const auto unheard = run(
        R"({"v":1,"ops":[{"id":"new","deadline":1000,"template":"alpha","op":"insert","data":{"id":2}}]})");
    CHECK_THAT(unheard, Contains("DEADLINE_EXCEEDED") && Contains(R"("effect":"none")"));
    CHECK_FALSE(run.has(2));
}

TEST_CASE("a caller whose clock is behind is served within the skew that is borne with") {
    // Two seconds of time, by clocks that are five seconds apart.
    struct skewed_clock : core::clock {
        core::steady_time steady_now() const override { return core::machine_clock().steady_now(); }
        core::system_time system_now() const override { return core::system_time{1'700'000'005s}; }
    };
    const auto insert_by = [](const std::string& id, int key, const std::string& deadline) {
        return R"({"v":1,"ops":[{"id":")" + id + R"(","deadline":)" + deadline +
               R"(,"template":"alpha","op":"insert","data":{"id":)" + std::to_string(key) + "}}]}";
    };
    const std::string fresh_by_its_own_clock = "1700000002000";
    const std::string long_ago = "1699999999999";
    const skewed_clock clock;
    shop strict{{}, clock};
    CHECK_THAT(strict(insert_by("a", 1, fresh_by_its_own_clock)), Contains("DEADLINE_EXCEEDED"));
    shop patient{{.clock_skew = 5s}, clock};
    CHECK_THAT(patient(insert_by("a", 1, fresh_by_its_own_clock)), Contains("applied"));
    CHECK_THAT(patient(insert_by("b", 2, long_ago)), Contains("DEADLINE_EXCEEDED"));
    CHECK_FALSE(patient.has(2));
}

TEST_CASE("what was delivered before and not run again is unknown") {
    shop run;
    shop::sent again{
        R"({"v":1,"ops":[{"id":"new","deadline":1000,"template":"alpha","op":"insert","data":{"id":2}}]})"};
    again.redelivered = true;
    CHECK_THAT(run({again}).front(),
               Contains("DEADLINE_EXCEEDED") && Contains(R"("effect":"unknown")") &&
                   Contains(R"("detail":"the deadline passed; the request was delivered before)"));
}

TEST_CASE("order on one key holds between two templates over one object") {
    shop run;
    const auto reply =
        run(envelope("each", R"({"id":"1","template":"zeta","op":"insert","data":{"id":7}},)"
                             R"({"id":"2","template":"alpha","op":"update","key":7,"set":{"n":1}},)"
                             R"({"id":"3","template":"zeta","op":"delete","key":7},)"
                             R"({"id":"4","template":"alpha","op":"fetch","key":7})"));
    INFO(reply);
    CHECK_THAT(reply, Contains(R"("status":"ok","results")") && Contains(R"("rows":[])"));
}

TEST_CASE("an operation on another database is misrouted, its neighbours are done") {
    shop run;
    const auto reply =
        run(envelope("each", R"({"id":"1","template":"alpha","op":"insert","data":{"id":7}},)"
                             R"({"id":"2","template":"far","op":"insert","data":{"id":7}})"));
    INFO(reply);
    CHECK_THAT(reply, Contains(R"("code":"MISROUTED")") && Contains(R"("effect":"none")"));
    CHECK(run.has(7));
    const auto whole =
        run(envelope("atomic", R"({"id":"3","template":"alpha","op":"insert","data":{"id":8}},)"
                               R"({"id":"4","template":"far","op":"insert","data":{"id":8}})"));
    INFO(whole);
    CHECK_THAT(whole, Contains("MISROUTED"));
    CHECK_FALSE(run.has(8));
}

TEST_CASE("what no binding took is misrouted unless its key is right") {
    shop run;
    const std::string fetch = R"({"v":1,"template":"alpha","op":"fetch","key":1})";
    for (const std::string key : {"alpha", "", "alpha.raed", "x.y.z", "catalog.read"}) {
        shop::sent lost{fetch};
        lost.source = factory::source::catalog;
        lost.key = key;
        CHECK_THAT(run({lost}).front(), Contains("MISROUTED") && Contains("alpha.read"));
    }
    shop::sent away{fetch};
    away.source = factory::source::catalog;
    away.key = "alpha.read";
    CHECK_THAT(run({away}).front(),
               Contains("BACKEND_UNAVAILABLE") && Contains(R"("retry_after_ms":1000)"));
}
