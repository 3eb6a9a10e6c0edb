#include "dead_letters.hpp"
#include "support/catch.hpp"

using namespace bedsctl;

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
