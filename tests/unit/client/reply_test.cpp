#include "support/catch.hpp"

#include <beds/client/reply.hpp>

using namespace beds;
using client::reply;

namespace {

const std::string envelope =
    R"({"v":1,"event":"dev.1","status":"partial","results":[)"
    R"({"status":"ok","effect":"none","rows":[{"id":7,"balance":"10.00","big":18446744073709551615}]},)"
    R"({"status":"error","code":"NOT_FOUND","effect":"none","retryable":false,"detail":"no \"such\" row"},)"
    R"({"status":"ok","effect":"applied","count":1}]})";

} // namespace

TEST_CASE("a part of a reply is what the operation alone would have got") {
    const reply whole{envelope, {}};
    REQUIRE(whole.size() == 3);
    CHECK_FALSE(whole.ok());
    CHECK(whole.json() == envelope);

    const auto first = whole.part(0, "");
    CHECK(first.ok());
    CHECK(first.size() == 1);
    CHECK(first.event() == "dev.1");
    CHECK(first.front()[0].integer("id") == 7);
    CHECK(first.json() == R"({"v":1,"event":"dev.1","status":"ok","effect":"none",)"
                          R"("rows":[{"id":7,"balance":"10.00","big":18446744073709551615}]})");

    const auto second = whole.part(1, "abc");
    CHECK_FALSE(second.ok());
    CHECK(second.request_id() == "abc");
    CHECK(second.front().code() == core::code::not_found);
    CHECK(reply{second.json(), {}}.front().detail() == "no \"such\" row");

    CHECK(whole.part(2, "def").front().effect() == core::effect::applied);
}

TEST_CASE("a part outlives the whole, and has parts of its own") {
    std::optional<reply> part;
    {
        const reply whole{envelope, {}};
        part = whole.part(2, "def").part(0, "ghi");
    }
    CHECK(part->front().count() == 1);
    CHECK(part->request_id() == "ghi");
    CHECK(part->json() == R"({"v":1,"event":"dev.1","status":"ok","effect":"applied","count":1})");
}

TEST_CASE("the only part of a bare reply is the reply itself") {
    const std::string bare = R"({"v":1,"event":"dev.2","status":"ok","effect":"none","rows":[]})";
    const reply whole{bare, {}};
    CHECK(whole.part(0, "x").json() == bare);
}
