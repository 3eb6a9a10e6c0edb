#include "dead_letters.hpp"
#include "support/catch.hpp"

using namespace bedsctl;
using namespace std::chrono_literals;

TEST_CASE("a masked request shows what was asked, and no value") {
    CHECK(masked_body(R"({"v":1,"template":"people","op":"update","key":{"id":7},)"
                      R"("set":{"name":"Ann","tags":["a",1,null,true]},"fields":["id"]})") ==
          R"({"v":1,"template":"people","op":"update","key":{"id":"***"},)"
          R"("set":{"name":"***","tags":["***","***",null,"***"]},"fields":["id"]})");
    CHECK(masked_body(R"({"v":1,"ops":[{"template":"t","op":"call","name":"pay",)"
                      R"("args":{"iban":"DE00"}},{"template":"t","op":"find",)"
                      R"("where":{"a":{"ge":5}}}]})") ==
          R"({"v":1,"ops":[{"template":"t","op":"call","name":"pay","args":{"iban":"***"}},)"
          R"({"template":"t","op":"find","where":{"a":{"ge":"***"}}}]})");
    CHECK(masked_body("secret") == "(6 bytes that are no JSON object)");
    CHECK(masked_body(R"(["secret"])") == "(10 bytes that are no JSON object)");
}

TEST_CASE("letters are chosen by id, code and template") {
    letter one;
    one.id = "order-1";
    one.event = "dev.1";
    one.code = "NOT_FOUND";
    one.routing_key = "orders.write";
    CHECK(is_chosen(one, {}));
    CHECK(is_chosen(one, {.ids = {"x", "order-1"}}));
    CHECK(is_chosen(one, {.ids = {"dev.1"}}));
    CHECK_FALSE(is_chosen(one, {.ids = {"order-2"}}));
    CHECK_FALSE(is_chosen(one, {.ids = {""}}));
    CHECK(is_chosen(one, {.code = "NOT_FOUND", .template_name = "orders"}));
    CHECK_FALSE(is_chosen(one, {.code = "CONFLICT"}));
    CHECK_FALSE(is_chosen(one, {.template_name = "order"}));
}

TEST_CASE("only what surely changed nothing gets a new id") {
    letter one;
    one.effect = "none";
    one.event = "dev.1";
    CHECK(may_renew(one, R"({"v":1,"template":"t","op":"delete","key":1})"));
    CHECK_FALSE(may_renew(one, R"({"v":1,"id":"a","template":"t","op":"delete","key":1})"));
    CHECK_FALSE(may_renew(one, R"({"v":1,"ops":[{"template":"t","op":"delete","key":1}]})"));
    CHECK_FALSE(may_renew(one, "not json"));
    one.effect = "unknown";
    CHECK_FALSE(may_renew(one, R"({"v":1,"template":"t","op":"delete","key":1})"));
}

TEST_CASE("the new id is made from the old one, and is an id") {
    CHECK(renewed_id("order-1") == "order-1~2");
    CHECK(renewed_id("order-1~2") == "order-1~3");
    CHECK(renewed_id("order-1~9") == "order-1~10");
    CHECK(renewed_id("a~b") == "a~b~2");
    CHECK(renewed_id("a~") == "a~~2");
    CHECK(renewed_id("a~99999999999999999999") == "a~99999999999999999999~2");
    const std::string longest(255, 'x');
    const auto shorter = renewed_id(longest);
    CHECK(shorter.size() == 34);
    CHECK(shorter == renewed_id(longest));
    CHECK(shorter != renewed_id(std::string(255, 'y')));
    CHECK(renewed_id(shorter) != shorter);
}

TEST_CASE("what might happen twice when it is sent again is told") {
    const auto now = std::chrono::system_clock::now();
    letter one;
    one.effect = "none";
    one.since = now - 1h;
    CHECK(danger_of(one, 24h, now).empty());
    CHECK(danger_of(one, 1h, now).find("inbox_window") != std::string::npos);
    CHECK(danger_of(one, 62min, now).empty());
    one.since = {};
    CHECK(danger_of(one, 24h, now).find("not known when") != std::string::npos);
    one.never_taken = true; // by any node
    CHECK(danger_of(one, 24h, now).empty());
    one.never_taken = false;
    one.since = now;
    one.effect = "applied"; // of an envelope, the rest is done
    CHECK(danger_of(one, 24h, now).empty());
    one.guarantee = "at_least_once";
    CHECK(danger_of(one, 24h, now).find("at_least_once") != std::string::npos);
    one.guarantee = {};
    for (const auto* effect : {"unknown", "", "x"}) {
        one.effect = effect;
        CHECK(danger_of(one, 24h, now).find("unknown") != std::string::npos);
    }
}
