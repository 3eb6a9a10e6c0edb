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

TEST_CASE("only what surely was not done gets a new id") {
    letter one;
    one.id = "m";
    one.effect = "none";
    one.event = "dev.1";
    const auto of = [&](const char* body) { return under_new_ids(one, body, false); };
    const auto* const bare = R"({"v":1,"template":"t","op":"delete","key":1})";
    CHECK(of(bare).refused.empty());
    CHECK(of(bare).message_id == "m~2");
    CHECK(of(bare).body.empty());
    CHECK(of(R"({"v":1,"id":"a","template":"t","key":1.50})").body ==
          R"({"v":1,"id":"a~2","template":"t","key":1.50})");
    CHECK(
        of(R"({"v":1,"mode":"atomic","ops":[{"op":"delete"},{"id":"b~2","op":"delete"}]})").body ==
        R"({"v":1,"mode":"atomic","ops":[{"op":"delete","id":"m/0~2"},{"id":"b~3","op":"delete"}]})");
    for (const auto* no_request : {"not json", "[]", R"({"ops":[1]})", R"({"id":1})"}) {
        CHECK(of(no_request).refused == "it is no request");
    }
    one.effect = "unknown";
    CHECK(of(bare).refused == "a part of it may have been applied");
    CHECK(under_new_ids(one, bare, true).message_id == "m~2"); // by its name
    one.effect = "applied";
    CHECK_FALSE(of(bare).refused.empty());
    CHECK_FALSE(under_new_ids(one, bare, true).refused.empty());
    one.effect = "none";
    one.event = {};
    CHECK_FALSE(of(bare).refused.empty());
}

TEST_CASE("of an envelope what was done is left out under new ids") {
    letter one;
    one.id = "m";
    one.effect = "partly";
    one.event = "dev.1";
    one.operations = "OK applied 0; NOT_FOUND none 1; OK none 2; SKIPPED none 3; "
                     "LIMIT_EXCEEDED applied 4";
    const auto* const five = R"({"ops":[{"n":0},{"n":1},{"n":2},{"n":3,"id":"x"},{"n":4}]})";
    const auto rest = under_new_ids(one, five, false);
    CHECK(rest.refused.empty());
    CHECK(rest.body == R"({"ops":[{"n":1,"id":"m/1~2"},{"n":3,"id":"x~2"}]})");
    CHECK(rest.message_id.empty());
    CHECK(rest.operations == 2);
    CHECK(rest.left_out == 3);
    CHECK(under_new_ids(one, R"({"ops":[{"n":0}]})", false).refused ==
          "it does not say which part of it was applied");
    one.operations = "OK applied 0; NOT_FOUND unknown 1-4";
    CHECK(under_new_ids(one, five, false).refused == "a part of it may have been applied");
    const auto doubtful = under_new_ids(one, five, true);
    CHECK(doubtful.operations == 4);
    CHECK(doubtful.left_out == 1);
    one.operations = "OK applied 0-4";
    CHECK(under_new_ids(one, five, false).refused == "all of it was done");
    one.operations = {}; // of an older node
    CHECK(under_new_ids(one, five, false).refused ==
          "it does not say which part of it was applied");
}

TEST_CASE("what is sent again is free of the deadlines of its operations") {
    CHECK(without_deadlines(R"({"v":1,"op":"delete","deadline":1,"key":1.50})") ==
          R"({"v":1,"op":"delete","key":1.50})");
    CHECK(without_deadlines(R"({"ops":[{"deadline":1,"set":{"deadline":2}},{"key":1}],"v":1})") ==
          R"({"ops":[{"set":{"deadline":2}},{"key":1}],"v":1})");
    CHECK_FALSE(without_deadlines(R"({"op":"update","set":{"deadline":2}})"));
    CHECK_FALSE(without_deadlines(R"({"op":"delete"})"));
    CHECK_FALSE(without_deadlines("\"deadline\""));
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
