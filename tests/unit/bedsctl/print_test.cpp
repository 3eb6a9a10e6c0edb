#include "support/catch.hpp"

#include <print.hpp>
#include <sstream>

using namespace bedsctl;
using beds::client::reply;

namespace {

struct printed {
    std::string out;
    std::string err;
};

printed print(const std::string& json, const std::string& id = {}) {
    std::ostringstream out;
    std::ostringstream err;
    print_reply(out, err, reply{json, id});
    return {out.str(), err.str()};
}

bool contains(const std::string& text, std::string_view part) {
    INFO(text);
    return text.find(part) != std::string::npos;
}

exit_code code(const std::string& json) {
    return exit_code_of(reply{json, {}});
}

std::string error(const std::string& why, const std::string& effect) {
    return R"({"v":1,"status":"error","code":")" + why + R"(","effect":")" + effect +
           R"(","retryable":false,"detail":"no"})";
}

} // namespace

TEST_CASE("rows are a table") {
    const auto got = print(R"({"v":1,"status":"ok","effect":"none","rows":[)"
                           R"({"code":"MX","name":"México","area":1.50},)"
                           R"({"code":"D","name":null,"area":2}],"next":"abc"})");
    CHECK(got.out == "code  name    area\n"
                     "----  ------  ----\n"
                     "MX    México  1.50\n"
                     "D             2\n"
                     "2 rows\n"
                     "more with --after abc\n");
    CHECK(got.err.empty());
    CHECK(print(R"({"v":1,"status":"ok","effect":"none","rows":[]})").out == "0 rows\n");
}

TEST_CASE("what a write did") {
    CHECK(print(R"({"v":1,"status":"ok","effect":"applied","count":2,"keys":[41,42]})").out ==
          "key 41, 42, count 2, effect applied\n");
    const auto call = print(R"({"v":1,"status":"ok","effect":"applied","out":{"balance":"9.00"},)"
                            R"("sets":{"lines":[{"a":1}]}})");
    CHECK(call.out == "out      value\n-------  -----\nbalance  9.00\nlines:\na\n-\n1\n"
                      "effect applied\n");
    CHECK(print(R"({"v":1,"status":"ok","effect":"none","total":249})").out == "total 249\n");
    CHECK(print(R"({"v":1,"status":"ok","effect":"none","exists":false})").out ==
          "does not exist\n");
}

TEST_CASE("errors go to standard error, with what to do") {
    const auto refused =
        print(R"({"v":1,"status":"error","code":"REJECTED","reason":"INSUFFICIENT_FUNDS",)"
              R"("effect":"none","retryable":false,"detail":"refused"})");
    CHECK(refused.out.empty());
    CHECK(refused.err == "REJECTED INSUFFICIENT_FUNDS: refused (effect none)\n");
    CHECK(
        contains(print(error("BACKEND_UNAVAILABLE", "unknown"), "o-1").err, "again with --id o-1"));
    CHECK(contains(print(error("INVALID_FIELD", "none")).err, "bedsctl describe"));
    const auto unordered =
        print(R"({"v":1,"status":"error","code":"MISROUTED","field":"beds-order",)"
              R"("effect":"none","retryable":false,"detail":"ordered"})");
    CHECK(contains(unordered.err, "--order"));
}

TEST_CASE("data does not steer the terminal") {
    const auto got = print("{\"v\":1,\"status\":\"ok\",\"effect\":\"none\",\"rows\":[{\"a\":"
                           "\"\\u001b[2J\\u009b1m\\nx\",\"b\\u0007\":\"\\u007f\"}]}");
    CHECK(contains(got.out, "\\x1b[2J\\x9b1m\\x0ax"));
    CHECK(contains(got.out, "b\\x07"));
    CHECK(contains(got.out, "\\x7f"));
    CHECK_FALSE(contains(got.out, "\x1b"));
}

TEST_CASE("tables of what strangers sent do not steer the terminal") {
    std::ostringstream out;
    print_table(out, {"id", "why"}, {{"we\nird \x1b[31mid", "x"}, {"b", "y"}});
    CHECK(out.str() == "id                    why\n"
                       "--------------------  ---\n"
                       "we\\x0aird \\x1b[31mid  x\n"
                       "b                     y\n");
}

TEST_CASE("exit codes") {
    CHECK(code(R"({"v":1,"status":"ok","effect":"none","total":1})") == exit_code::ok);
    CHECK(code(error("INVALID_FIELD", "none")) == exit_code::refused);
    CHECK(code(error("REJECTED", "none")) == exit_code::refused);
    CHECK(code(error("OVERLOADED", "none")) == exit_code::refused);
    CHECK(code(error("INTERNAL", "unknown")) == exit_code::unknown);
    CHECK(code(error("BACKEND_UNAVAILABLE", "none")) == exit_code::unknown);
    // The client's own, of whom nobody answered; then a node's.
    CHECK(code(error("DEADLINE_EXCEEDED", "none")) == exit_code::unknown);
    CHECK(code(R"({"v":1,"event":"dev.1","status":"error","code":"DEADLINE_EXCEEDED",)"
               R"("effect":"none","retryable":false})") == exit_code::refused);
    CHECK(code(R"({"v":1,"event":"dev.1","status":"error","code":"DEADLINE_EXCEEDED",)"
               R"("effect":"unknown","retryable":false})") == exit_code::unknown);
    CHECK(code(R"({"v":1,"event":"dev.1","status":"error","results":[{"status":"error",)"
               R"("code":"DEADLINE_EXCEEDED","effect":"none","retryable":false}]})") ==
          exit_code::refused);
    CHECK(code(R"({"v":1,"status":"partial","results":[{"status":"ok","effect":"none","total":1},)"
               R"({"status":"error","code":"CONFLICT","effect":"none","retryable":false}]})") ==
          exit_code::refused);
}

TEST_CASE("the catalog, in brief and in full") {
    const reply got{
        R"({"v":1,"status":"ok","effect":"none","templates":[{"name":"accounts",)"
        R"("version":3,"group":"ab12","key":["id"],"fields":[{"name":"id",)"
        R"("type":"int64","key":true},{"name":"status","type":"enum","values":)"
        R"(["open","closed"]}],"operations":[{"op":"fetch","class":"read"},{"op":"call",)"
        R"("class":"write","name":"transfer","args":[{"name":"to","type":"int64"}],)"
        R"("out":[{"name":"left","type":"int64"}],"reasons":["NO_FUNDS"]}]}]})",
        {}};
    std::ostringstream brief;
    print_catalog(brief, got, detail::brief);
    CHECK(contains(brief.str(), "accounts  id   2       transfer  ab12"));
    std::ostringstream full;
    print_catalog(full, got, detail::full);
    CHECK(contains(full.str(), "accounts, version 3, key id, group ab12"));
    CHECK(contains(full.str(), "status  enum: open, closed"));
    CHECK(contains(full.str(), "transfer   write  to int64   left int64  NO_FUNDS"));
}
