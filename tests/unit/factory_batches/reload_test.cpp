#include "support/catch.hpp"

#include <beds/adapters/memory.hpp>
#include <beds/factory/factory.hpp>
#include <beds/wire/reply.hpp>
#include <beds/wire/request.hpp>

#include <string>
#include <vector>

using namespace beds;
using Catch::Contains;

namespace {

templates::template_def named(const std::string& name, const std::string& more_fields = {}) {
    auto parsed =
        templates::parse("[template]\nname = \"" + name +
                         "\"\nconnection = \"mem\"\nstore = \"rel\"\nobject = \"things\"\n"
                         "key = [\"id\"]\n[fields]\nid = { type = \"int64\", required = true }\n" +
                         more_fields);
    REQUIRE(parsed.parsed);
    return std::move(*parsed.parsed);
}

constexpr const char* with_n = "n = { type = \"int64\" }\n";

std::shared_ptr<const factory::template_set> set_of(std::vector<templates::template_def> all,
                                                    std::uint64_t generation = 0,
                                                    std::vector<std::uint64_t> since = {},
                                                    std::set<std::string, std::less<>> removed = {},
                                                    std::vector<observe::ledger::slot> slots = {}) {
    return std::make_shared<const factory::template_set>(factory::template_set{
        .registry = std::make_shared<const templates::registry>(std::move(all)),
        .generation = generation,
        .since = std::move(since),
        .slots = std::move(slots),
        .removed = std::move(removed)});
}

/// A factory over the memory engine whose templates change; every call is one batch of one message.
struct shop {
    explicit shop(std::shared_ptr<const factory::template_set> first,
                  std::shared_ptr<adapters::adapter> data = adapters::make_memory("mem"))
        : work(std::move(first), {std::move(data)}, "mem", {}) {
        counters.books = &books;
    }
    std::string operator()(const std::string& body, const std::string& id = "message",
                           bool redelivered = false) {
        memory.reset();
        kept = body;
        std::vector<factory::message> messages(1);
        auto& one = messages.front();
        REQUIRE_FALSE(decoder.decode(kept, memory, one.request));
        one.request.principal = "tester";
        one.request.message_id = id;
        one.request.redelivered = redelivered;
        writer.start(factory::factory::count(messages));
        work.run(messages, writer, memory, counters);
        slots.assign(one.slots.begin(), one.slots.end());
        std::string reply;
        writer.append_reply(reply, "", one.request.enveloped, one.first, one.results);
        return reply;
    }

    factory::factory work;
    observe::ledger books{8};
    wire::request_decoder decoder;
    wire::reply_writer writer;
    core::arena memory;
    observe::live_counters counters;
    std::string kept;
    std::vector<observe::ledger::slot> slots;
};

const std::string insert_with_n =
    R"({"v":1,"template":"alpha","op":"insert","data":{"id":1,"n":5}})";

} // namespace

TEST_CASE("reload: every batch sees the templates of one set") {
    shop run{set_of({named("alpha"), named("old")})};
    CHECK_THAT(run(insert_with_n), Contains("INVALID_FIELD"));
    CHECK_THAT(run(R"({"v":1,"op":"describe"})"), Contains(R"("old")") && !Contains(R"("n")"));
    run.work.change_templates(
        set_of({named("alpha", with_n), named("new")}, 1, {1, 1}, {"old"}, {1, 3}));
    CHECK_THAT(run(insert_with_n), Contains("applied"));
    CHECK(run.slots == std::vector<observe::ledger::slot>{1});
    CHECK_THAT(run(R"({"v":1,"template":"new","op":"fetch","key":1})"), Contains(R"("id":1)"));
    CHECK(run.slots == std::vector<observe::ledger::slot>{3});
    CHECK_THAT(run(R"({"v":1,"template":"old","op":"fetch","key":1})"),
               Contains("UNKNOWN_TEMPLATE"));
    CHECK(run.slots == std::vector<observe::ledger::slot>{observe::ledger::no_template});
    CHECK_THAT(run(R"({"v":1,"op":"describe"})"),
               Contains(R"("new")") && Contains(R"("n")") && !Contains(R"("old")"));
    // The session is the one that it was.
    CHECK(run.work.connects() == 1);
}

TEST_CASE("reload: what is withheld belongs to one set") {
    const auto withholding = [](std::vector<templates::template_def> all, std::string_view name,
                                std::uint64_t generation) {
        auto made = *set_of(std::move(all), generation);
        made.withheld = std::make_shared<factory::withheld_templates>(made.registry);
        made.withheld->set(name, true);
        made.withheld->set("nobody", true);
        return std::make_shared<const factory::template_set>(std::move(made));
    };
    const auto fetch = [](const std::string& name) {
        return R"({"v":1,"template":")" + name + R"(","op":"fetch","key":1})";
    };
    const auto first = withholding({named("alpha"), named("beta"), named("gamma")}, "gamma", 0);
    shop run{first};
    CHECK_THAT(run(fetch("alpha")), Contains("NOT_FOUND") || Contains(R"("status":"ok")"));
    CHECK_THAT(run(fetch("gamma")),
               Contains("BACKEND_UNAVAILABLE") && Contains("does not fit its database"));
    run.work.change_templates(withholding({named("beta"), named("gamma")}, "beta", 1));
    CHECK_THAT(run(fetch("beta")), Contains("BACKEND_UNAVAILABLE"));
    CHECK_THAT(run(fetch("gamma")), !Contains("BACKEND_UNAVAILABLE"));
    first->withheld->set("gamma", true); // of nobody any more
    CHECK_THAT(run(fetch("gamma")), !Contains("BACKEND_UNAVAILABLE"));
    run.work.change_templates(set_of({named("beta")}, 2));
    CHECK_THAT(run(fetch("beta")), !Contains("BACKEND_UNAVAILABLE"));
}

TEST_CASE("reload: a write that is sent again gets its first reply, whatever the templates say") {
    shop run{set_of({named("alpha", with_n), named("old", with_n)})};
    const std::string other = R"({"v":1,"template":"old","op":"insert","data":{"id":2,"n":5}})";
    const auto first = run(insert_with_n, "a");
    const auto second = run(other, "b");
    REQUIRE_THAT(first, Contains("applied"));
    REQUIRE_THAT(second, Contains("applied"));
    const std::string together =
        R"({"v":1,"mode":"sequence","ops":[)"
        R"({"id":"s1","template":"alpha","op":"insert","data":{"id":7,"n":1}},)"
        R"({"id":"s2","template":"alpha","op":"insert","data":{"id":8}}]})";
    const std::string at_once =
        R"({"v":1,"mode":"atomic","ops":[)"
        R"({"id":"t1","template":"alpha","op":"insert","data":{"id":9,"n":1}},)"
        R"({"id":"t2","template":"alpha","op":"insert","data":{"id":10}}]})";
    const auto sequence = run(together);
    const auto atomic = run(at_once);
    REQUIRE_THAT(sequence + atomic, !Contains("error"));

    run.work.change_templates(set_of({named("alpha")}, 1, {1}, {"old"})); // `n` is gone, and `old`
    for (const bool redelivered : {false, true}) {
        CHECK(run(insert_with_n, "a", redelivered) == first);
        CHECK(run(other, "b", redelivered) == second);
        CHECK(run(together, "message", redelivered) == sequence);
        CHECK(run(at_once, "message", redelivered) == atomic);
    }
    // With other content the id is used already, and what is new is judged by the new template.
    CHECK_THAT(run(R"({"v":1,"template":"alpha","op":"insert","data":{"id":1,"n":6}})", "a"),
               Contains("ID_REUSED"));
    for (const bool redelivered : {false, true}) {
        CHECK_THAT(run(R"({"v":1,"template":"alpha","op":"insert","data":{"id":3,"n":6}})", "c",
                       redelivered),
                   Contains("INVALID_FIELD") && Contains(R"("effect":"none")"));
        CHECK_THAT(
            run(R"({"v":1,"template":"old","op":"insert","data":{"id":3}})", "d", redelivered),
            Contains("UNKNOWN_TEMPLATE") && Contains(R"("effect":"none")"));
    }
    // A template that changed back and forth is not forgotten.
    run.work.change_templates(set_of({named("alpha", with_n), named("old")}, 2, {2, 2}));
    run.work.change_templates(set_of({named("alpha"), named("old")}, 3, {3, 2}));
    CHECK(run(insert_with_n, "a") == first);
    CHECK(run(other, "b") == second);
}

TEST_CASE("reload: after a restart a write that is sent again is judged by the templates of then") {
    const auto data = adapters::make_memory("mem");
    shop before{set_of({named("alpha", with_n)}), data};
    const std::string plain = R"({"v":1,"template":"alpha","op":"insert","data":{"id":2}})";
    REQUIRE_THAT(before(insert_with_n, "a"), Contains("applied"));
    const auto first = before(plain, "b");
    shop after{set_of({named("alpha")}), data};
    CHECK_THAT(after(insert_with_n, "a"), Contains("INVALID_FIELD"));
    CHECK(after(plain, "b") == first);
}
