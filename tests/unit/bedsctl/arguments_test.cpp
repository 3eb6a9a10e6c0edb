#include "support/catch.hpp"

#include <beds/wire/request.hpp>

#include <arguments.hpp>

using namespace bedsctl;

namespace {

/// What the command line becomes on the wire.
std::string wire(const call_arguments& given) {
    const beds::client::request request{make_operation(given)};
    beds::core::arena memory;
    std::string text;
    beds::wire::append_request(text, view(request, memory));
    return text;
}

std::string wire(std::string template_name, std::string op, std::vector<std::string> members) {
    return wire({.template_name = std::move(template_name),
                 .op = std::move(op),
                 .members = std::move(members)});
}

std::string refusal(const call_arguments& given) {
    try {
        const auto text = wire(given);
        return "accepted: " + text;
    } catch (const usage_error& wrong) {
        return wrong.what();
    }
}

std::string refusal(std::string op, std::vector<std::string> members) {
    return refusal({.template_name = "items", .op = std::move(op), .members = std::move(members)});
}

bool contains(const std::string& text, std::string_view part) {
    INFO(text);
    return text.find(part) != std::string::npos;
}

} // namespace

TEST_CASE("reads: keys and conditions") {
    CHECK(wire("countries", "fetch", {"key=MX"}) ==
          R"({"v":1,"op":"fetch","template":"countries","key":"MX"})");
    CHECK(wire("lines", "fetch", {"key.order:=7", "key.line:=2"}) ==
          R"({"v":1,"op":"fetch","template":"lines","key":{"order":7,"line":2}})");
    CHECK(wire("items", "find", {}) == R"({"v":1,"op":"find","template":"items"})");
    CHECK(wire("items", "find", {"owner=ann", "stock.ge:=1", "stock.lt:=10", "code.in:=[1,2]"}) ==
          R"({"v":1,"op":"find","template":"items","where":{"owner":"ann",)"
          R"("stock":{"ge":1,"lt":10},"code":{"in":[1,2]}}})");
    CHECK(wire("items", "count", {"key=a"}) ==
          R"({"v":1,"op":"count","template":"items","where":{"key":"a"}})");
    CHECK(wire("items", "exists", {"owner.null:=true"}) ==
          R"({"v":1,"op":"exists","template":"items","where":{"owner":{"null":true}}})");
    CHECK(wire({.template_name = "items",
                .op = "find",
                .where = {"owner=ann"},
                .fields = {"id"},
                .sort = {"-id", "name"},
                .limit = 5,
                .after = "abc"}) ==
          R"({"v":1,"op":"find","template":"items","where":{"owner":"ann"},"sort":["-id","name"],)"
          R"("fields":["id"],"limit":5,"after":"abc"})");
}

TEST_CASE("writes and calls") {
    CHECK(wire("items", "insert", {"id:=1", "name=a=b", "note="}) ==
          R"({"v":1,"op":"insert","template":"items","data":{"id":1,"name":"a=b","note":""}})");
    CHECK(wire({.template_name = "items",
                .op = "update",
                .members = {"key:=1", "name=rope"},
                .set = {"key=x"},
                .inc = {"stock:=-1"},
                .expect = {"owner:=null"}}) ==
          R"({"v":1,"op":"update","template":"items","key":1,"set":{"name":"rope","key":"x"},)"
          R"("inc":{"stock":-1},"if":{"owner":null}})");
    CHECK(wire({.template_name = "items",
                .op = "update",
                .members = {"stock:=0"},
                .where = {"owner=ann"}}) ==
          R"({"v":1,"op":"update","template":"items","where":{"owner":"ann"},"set":{"stock":0}})");
    CHECK(wire("items", "delete", {"key=1"}) ==
          R"({"v":1,"op":"delete","template":"items","key":"1"})");
    CHECK(wire("items", "delete", {"owner=ann"}) ==
          R"({"v":1,"op":"delete","template":"items","where":{"owner":"ann"}})");
    CHECK(wire("accounts", "transfer", {"from:=1", "amount:=10.00", "note=\"x\""}) ==
          R"({"v":1,"op":"call","template":"accounts","name":"transfer",)"
          R"("args":{"from":1,"amount":10.00,"note":"\"x\""}})");
    CHECK(wire("accounts", "refresh", {}) ==
          R"({"v":1,"op":"call","template":"accounts","name":"refresh","args":{}})");
}

TEST_CASE("what cannot be meant is refused with what to write instead") {
    CHECK(contains(refusal("fetch", {"name=x"}), "fetch takes key=VALUE"));
    CHECK(contains(refusal("fetch", {"key=1", "name=x"}), "to look for other fields use find"));
    CHECK(contains(refusal("fetch", {"key=1", "key.a=1"}), "give either key="));
    CHECK(contains(refusal("fetch", {"MX"}), "'MX' is neither name=text nor name:=json"));
    CHECK(contains(refusal("find", {"=x"}), "is neither"));
    CHECK(contains(refusal("find", {":=x"}), "is neither"));
    CHECK(contains(refusal("find", {"a=1", "a=2"}), "'a' is given twice"));
    CHECK(contains(refusal("find", {"a=1", "a.ge=2"}), "write 'a.eq=…'"));
    CHECK(contains(refusal("find", {"a:=yes"}), "is not JSON"));
    CHECK(contains(refusal("insert", {}), "insert takes the row's fields"));
    CHECK(contains(refusal("update", {"key=1"}), "say what to change: FIELD=VALUE"));
    CHECK(contains(refusal("update", {"name=x"}), "say what to change: key=VALUE, or --where"));
    CHECK(contains(refusal("delete", {}), "say what to change: key=VALUE"));
    CHECK(contains(refusal("delete", {"key=1", "owner=x"}), "either a key or conditions"));
    CHECK(contains(refusal("call", {"name=x"}), "say the name of the call itself"));
    CHECK(contains(refusal("describe", {}), "bedsctl describe items"));
    CHECK(contains(refusal({.template_name = "items", .op = "", .members = {}}),
                   "a template and an operation are needed"));
    CHECK(contains(refusal({.template_name = "items", .op = "count", .limit = 1}),
                   "--limit goes with find, not with 'count'"));
    CHECK(contains(
        refusal({.template_name = "items", .op = "transfer", .members = {}, .expect = {"a=1"}}),
        "--if goes with update, delete, not with 'transfer'"));
}

TEST_CASE("a misspelt verb is recognised") {
    CHECK(suggest_verb("fetsh") == "; did you mean 'fetch'?");
    CHECK(suggest_verb("transfer").empty());
}

TEST_CASE("a number or a truth that was given as text is told how to write") {
    const std::string number = "field 'ratio' must be a number";
    const std::string truth = "field 'ok' must be true or false";
    const auto insert = [](std::vector<std::string> words) {
        return call_arguments{
            .template_name = "items", .op = "insert", .members = std::move(words)};
    };
    CHECK(json_instead(insert({"name=x", "ratio=0.1"}), "ratio", number) ==
          "write ratio:=0.1 (a value in JSON)");
    CHECK(json_instead(insert({"ok=true"}), "ok", truth) == "write ok:=true (a value in JSON)");
    CHECK(json_instead({.where = {"ratio.ge=-1e3"}}, "ratio", number) ==
          "write ratio.ge:=-1e3 (a value in JSON)");
    CHECK(json_instead({.members = {"key.ratio=2"}}, "ratio", number) ==
          "write key.ratio:=2 (a value in JSON)");
    CHECK(
        json_instead({.members = {"ok.null=true"}}, "ok", "operator 'null' takes true or false") ==
        "write ok.null:=true (a value in JSON)");
    CHECK(json_instead({.set = {"ok=false"}}, "ok", truth) == "write ok:=false (a value in JSON)");
    CHECK(json_instead({.inc = {"ratio=2"}}, "ratio", number) ==
          "write ratio:=2 (a value in JSON)");
    CHECK(json_instead({.expect = {"ratio=2"}}, "ratio", number) ==
          "write ratio:=2 (a value in JSON)");
    // What would not help.
    CHECK(json_instead(insert({"ratio=much"}), "ratio", number).empty());
    CHECK(json_instead(insert({"ratio=true"}), "ratio", number).empty());
    CHECK(json_instead(insert({"ok=1"}), "ok", truth).empty());
    CHECK(json_instead(insert({"ratio:=\"0.1\""}), "ratio", number).empty());
    CHECK(json_instead(insert({"other=1"}), "ratio", number).empty());
    CHECK(json_instead(insert({"name=12345"}), "name",
                       "field 'name' must be a string of at most 4 characters")
              .empty());
    CHECK(json_instead(insert({"amount=1.005"}), "amount",
                       "field 'amount' must be a decimal number of at most 5 digits before and 2 "
                       "digits after the point, without exponent, as a string or a number")
              .empty());
}

TEST_CASE("what is not UTF-8 on the command line is refused, not changed") {
    const std::string_view latin = "caf\xE9";
    CHECK(contains(refusal("fetch", {"key=" + std::string{latin}}), "'key=…' is not UTF-8"));
    CHECK(contains(refusal("find", {"name.prefix=a\xFF"}), "'name.prefix=…' is not UTF-8"));
    CHECK(contains(refusal("insert", {R"(name:="a)"
                                      "\xC0\x80\""}),
                   "'name=…' is not UTF-8"));
    CHECK(contains(refusal("insert", {"\xFF=1"}), "an argument is not UTF-8"));
    CHECK(contains(refusal("fetch", {"key=café"}), "accepted"));
}
