#include "support/catch.hpp"

#include <beds/client/reply.hpp>
#include <beds/client/request.hpp>
#include <beds/core/error.hpp>
#include <beds/wire/request.hpp>

#include <limits>

using namespace beds;
using client::request;
using client::value;

namespace {

/// The protocol's JSON of what was read.
std::string again(std::string_view json) {
    const auto read = request::from_json(json);
    core::arena memory;
    std::string text;
    wire::append_request(text, view(read, memory));
    return text;
}

std::string json_of(const value& from) {
    core::arena memory;
    std::string text;
    core::append_json(text, from.view(memory));
    return text;
}

core::error failure_of(std::string_view json) {
    try {
        (void)request::from_json(json);
    } catch (const core::error& wrong) {
        return wrong;
    }
    return {core::errc::internal, "nothing was thrown"};
}

} // namespace

TEST_CASE("a request from JSON keeps all that its operations carry") {
    for (
        const std::string_view json : {
            R"({"v":1,"op":"fetch","template":"t","deadline":1767225600123,"key":7,"fields":["a","b"]})",
            R"({"v":1,"op":"find","template":"t","where":{"n":{"in":[1,2]}},"sort":["-n"],"limit":5,"after":"c"})",
            R"({"v":1,"op":"update","template":"t","id":"x","key":{"a":1,"b":"2"},"set":{"n":null},"inc":{"m":-1},"if":{"n":1}})",
            R"({"v":1,"op":"insert","template":"t","data":[{"n":10.00},{"n":1e400},{"n":18446744073709551615}]})",
            R"({"v":1,"op":"call","template":"t","name":"f","args":{"document":{"a":[true,{"b":"\u0001"}]}}})",
            R"({"v":1,"op":"delete","template":"t","where":{"n":1}})",
            R"({"v":1,"op":"describe"})",
            R"({"v":1,"mode":"sequence","ops":[{"op":"count","template":"t","deadline":1},{"op":"exists","template":"t","id":"y"}]})",
            R"({"v":1,"mode":"atomic","ops":[{"op":"fetch","template":"t","key":1}]})",
        }) {
        CHECK(again(json) == json);
    }
    const auto read = request::from_json(
        R"({"v":1,"op":"fetch","template":"t","deadline":1767225600123,"key":7})");
    CHECK(read.operations[0].deadline ==
          core::system_time{std::chrono::milliseconds{1767225600123}});
    CHECK(!request::from_json(R"({"v":1,"op":"fetch","template":"t","key":7})")
               .operations[0]
               .deadline);
}

TEST_CASE("a request from JSON is refused for what is wrong, and for nothing else") {
    // The node's to judge: nothing of it is lost.
    CHECK(again(R"({"v":1,"op":"find","template":"t","sort":[]})") ==
          R"({"v":1,"op":"find","template":"t"})");
    CHECK(again(R"({"v":1,"op":"find","template":"t","limit":99999999999})") ==
          R"({"v":1,"op":"find","template":"t","limit":4294967295})");
    CHECK(again(R"({"v":1,"op":"find","template":"t","limit":18446744073709551615})") ==
          R"({"v":1,"op":"find","template":"t","limit":4294967295})");
    CHECK(again(R"({"v":1,"op":"update","template":"t"})") ==
          R"({"v":1,"op":"update","template":"t"})");

    for (const std::string_view json : {
             "",
             "nonsense",
             "[]",
             R"({"v":2,"op":"describe"})",
             R"({"v":1,"op":"fetsh","template":"t"})",
             R"({"v":1,"op":"fetch","template":"t","key":1,"limit":1})",
             R"({"v":1,"op":"fetch","template":"t","key":1,"fields":[]})",
             R"({"v":1,"op":"fetch","template":"t","key":1,"fields":"a"})",
             R"({"v":1,"op":"fetch","template":"t","key":1,"fields":["a",1]})",
             R"({"v":1,"op":"find","template":"t","sort":{}})",
             R"({"v":1,"op":"find","template":"t","limit":0})",
             R"({"v":1,"op":"find","template":"t","limit":"5"})",
             R"({"v":1,"op":"find","template":"t","limit":1.5})",
             R"({"v":1,"op":"fetch","template":"t","key":1,"deadline":"soon"})",
             R"({"v":1,"ops":[]})",
         }) {
        INFO(json);
        CHECK(failure_of(json).code() == core::errc::protocol);
    }
    CHECK(failure_of(R"({"v":1,"op":"insert","template":"t","data":{},"return":[]})").code() ==
          core::errc::protocol);

    const auto second = failure_of(
        R"({"v":1,"ops":[{"op":"count","template":"t"},{"op":"count","template":"t","kye":1}]})");
    CHECK(second.message().find("operation 2: unknown member 'kye'") != std::string::npos);
}

TEST_CASE("values say what JSON can say, exactly") {
    CHECK(json_of({}) == "null");
    CHECK(json_of(true) == "true");
    CHECK(json_of(std::numeric_limits<std::int64_t>::min()) == "-9223372036854775808");
    CHECK(json_of(std::numeric_limits<std::uint64_t>::max()) == "18446744073709551615");
    CHECK(json_of(7U) == "7");
    CHECK(json_of(0.1) == "0.1");
    CHECK(json_of("a\"b") == R"("a\"b")");
    CHECK(json_of(value::number("10.00")) == "10.00");
    CHECK(json_of(value::array({1, "x", nullptr})) == R"([1,"x",null])");
    CHECK(json_of(value::object({{"a", value::object({{"b", 1}})}})) == R"({"a":{"b":1}})");
    CHECK(json_of(value::from_json(R"({"a":[1e400,10.00]})")) == R"({"a":[1e400,10.00]})");
    CHECK_THROWS_AS(value{std::numeric_limits<double>::infinity()}, core::error);
    CHECK_THROWS_AS(value::number("1,5"), core::error);
    CHECK_THROWS_AS(value::number("\"5\""), core::error);
    CHECK_THROWS_AS(value::from_json("{"), core::error);
}

TEST_CASE("a reply is read, copies share it, and what is none is refused") {
    const client::reply got{
        R"({"v":1,"event":"e","status":"ok","effect":"none","rows":[{"n":5,"s":"x"}],"next":"c"})",
        "id"};
    const client::reply copy = got;
    CHECK(copy.ok());
    CHECK(copy.front()[0].integer("n") == 5);
    CHECK(!copy.front()[0].integer("s"));
    CHECK(copy.front()[0].text("n").empty());
    CHECK(copy.front().next() == "c");
    CHECK(copy.event() == "e");
    CHECK(&copy.json() == &got.json());

    const client::reply later{
        R"({"v":1,"event":"e","status":"error","code":"FROM_LATER","effect":"unknown","retryable":true,"detail":"d"})",
        {}};
    CHECK(later.front().code() == core::code::internal);
    CHECK(later.front().code_text() == "FROM_LATER");
    CHECK(later.front().effect() == core::effect::unknown);
    CHECK(later.front().retryable());

    for (const auto* wrong : {"", "{}", "[1]", R"({"v":1,"results":[]})"}) {
        INFO(wrong);
        CHECK_THROWS_AS((client::reply{wrong, {}}), core::error);
    }
}
