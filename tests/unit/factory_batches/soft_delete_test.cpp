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

constexpr const char* guests = R"toml(
[template]
name        = "guests"
connection  = "mem"
store       = "rel"
object      = "guests"
key         = ["id"]
soft_delete = "gone"
[fields]
id   = { type = "int64", required = true }
name = { type = "string", max = 20 }
gone = { type = "datetime" }
note = { type = "json" }
[[index]]
fields = ["name"]
[limits]
max_bytes = 320
max_depth = 2
)toml";

/// The same table, as somebody sees it who may see what is deleted.
constexpr const char* everything = R"toml(
[template]
name       = "everything"
connection = "mem"
store      = "rel"
object     = "guests"
key        = ["id"]
[fields]
id   = { type = "int64", required = true }
name = { type = "string", max = 20 }
gone = { type = "datetime" }
)toml";

struct house {
    house() : work(registry(), {adapters::make_memory("mem")}, "mem", {}) {}
    static std::shared_ptr<const templates::registry> registry() {
        std::vector<templates::template_def> all;
        for (const auto* text : {guests, everything}) {
            auto parsed = templates::parse(text);
            for (const auto& problem : parsed.problems) {
                UNSCOPED_INFO(templates::to_string(problem));
            }
            REQUIRE(parsed.parsed);
            all.push_back(std::move(*parsed.parsed));
        }
        return std::make_shared<const templates::registry>(std::move(all));
    }
    std::string operator()(const std::string& members, const std::string& of = "guests") {
        memory.reset();
        kept = R"({"v":1,"template":")" + of + "\"," + members + '}';
        std::vector<factory::message> messages(1);
        auto& one = messages.front();
        REQUIRE_FALSE(decoder.decode(kept, memory, one.request));
        one.request.principal = "tester";
        one.request.message_id = memory.copy(std::string_view{"m" + std::to_string(number++)});
        writer.start(factory::factory::count(messages));
        work.run(messages, writer, memory, counters);
        std::string reply;
        writer.append_reply(reply, "", one.request.enveloped, one.first, one.results);
        return reply;
    }

    factory::factory work;
    wire::request_decoder decoder;
    wire::reply_writer writer;
    core::arena memory;
    observe::live_counters counters;
    std::string kept;
    int number = 0;
};

} // namespace

TEST_CASE("soft_delete: what is deleted is not there any more, and is kept") {
    house at;
    for (int i = 1; i <= 3; ++i) {
        REQUIRE_THAT(at(R"("op":"insert","data":{"id":)" + std::to_string(i) + R"(,"name":"x"})"),
                     Contains("applied"));
    }
    CHECK_THAT(at(R"("op":"delete","key":2)"),
               Contains(R"("effect":"applied")") && Contains(R"("count":1)"));
    CHECK_THAT(at(R"("op":"fetch","key":2)"), Contains(R"("rows":[])"));
    CHECK_THAT(at(R"("op":"fetch","key":3)"), Contains(R"("id":3)"));
    CHECK_THAT(at(R"("op":"count")"), Contains(R"("total":2)"));
    CHECK_THAT(at(R"("op":"exists","where":{"id":2})"), Contains(R"("exists":false)"));
    CHECK_THAT(at(R"("op":"find","where":{"name":"x"})"),
               Contains(R"("id":1)") && Contains(R"("id":3)") && !Contains(R"("id":2)"));
    CHECK_THAT(at(R"("op":"update","key":2,"set":{"name":"y"})"), Contains("NOT_FOUND"));
    CHECK_THAT(at(R"("op":"delete","key":2)"), Contains("NOT_FOUND"));
    CHECK_THAT(at(R"("op":"update","where":{"name":"x"},"set":{"name":"y"})"),
               Contains(R"("count":2)"));
    CHECK_THAT(at(R"("op":"delete","where":{"name":"y"})"), Contains(R"("count":2)"));
    CHECK_THAT(at(R"("op":"count")"), Contains(R"("total":0)"));
    // Its key is taken all the same.
    CHECK_THAT(at(R"("op":"insert","data":{"id":2})"), Contains("DUPLICATE_KEY"));
    CHECK_THAT(at(R"("op":"insert","data":{"id":2},"on_conflict":{"do":"nothing"})"),
               Contains("UNSUPPORTED"));
    const auto kept = at(R"("op":"fetch","key":2)", "everything");
    CHECK_THAT(kept, Contains(R"("name":"x")") && Contains(R"("gone":"20)"));
}

TEST_CASE("soft_delete: the mark is not for clients, and a delete may ask for values") {
    house at;
    CHECK_THAT(at(R"("op":"insert","data":{"id":1,"gone":"2026-01-01T00:00:00Z"})"),
               Contains("INVALID_FIELD") && Contains(R"("field":"gone")"));
    REQUIRE_THAT(at(R"("op":"insert","data":{"id":1,"name":"x"})"), Contains("applied"));
    CHECK_THAT(at(R"("op":"update","key":1,"set":{"gone":null})"), Contains("INVALID_FIELD"));
    CHECK_THAT(at(R"("op":"delete","key":1,"if":{"name":"y"})"), Contains("CONFLICT"));
    CHECK_THAT(at(R"("op":"delete","key":1,"if":{"name":"x"},"return":["name","gone"])"),
               Contains("applied") && Contains(R"("rows":[{"name":"x","gone":null}])"));
}

TEST_CASE("max_bytes: a result that is larger than its template allows is refused") {
    house at;
    for (int i = 1; i <= 10; ++i) {
        REQUIRE_THAT(at(R"("op":"insert","data":{"id":)" + std::to_string(i) +
                        R"(,"name":"twenty characters it"})"),
                     Contains("applied"));
    }
    CHECK_THAT(at(R"("op":"find","limit":3)"), Contains(R"("id":3)"));
    CHECK_THAT(at(R"("op":"find")"), Contains("LIMIT_EXCEEDED") && !Contains(R"("id":1)"));
    CHECK_THAT(at(R"("op":"find")", "everything"), Contains(R"("id":10)"));
    // What is done stays done.
    CHECK_THAT(at(R"("op":"update","where":{"name":"twenty characters it"},"set":{"name":"x"},)"
                  R"("return":["id","name","gone","note"])"),
               Contains("LIMIT_EXCEEDED") && Contains(R"("effect":"applied")"));
    CHECK_THAT(at(R"("op":"fetch","key":1)"), Contains(R"("name":"x")"));
}

TEST_CASE("max_depth: nested data that is deeper than its template allows is refused") {
    house at;
    CHECK_THAT(at(R"("op":"insert","data":{"id":1,"note":{"a":[1,"x",null],"b":{}}})"),
               Contains("applied"));
    for (const char* deep : {R"({"a":[[1]]})", R"([{"b":{}}])", R"({"a":1,"b":{"c":{"d":1}}})"}) {
        INFO(deep);
        const auto note = std::string{R"({"note":)"} + deep;
        for (const auto& write : {R"("op":"insert","data":)" + note + R"(,"id":2})",
                                  R"("op":"update","key":1,"set":)" + note + "}"}) {
            CHECK_THAT(at(write), Contains("LIMIT_EXCEEDED") && Contains(R"("field":"note")") &&
                                      Contains("must not be nested deeper than 2"));
        }
    }
    CHECK_THAT(at(R"("op":"fetch","key":1,"fields":["note"])"),
               Contains(R"("note":{"a":[1,"x",null],"b":{}})"));
}
