#include "support/catch.hpp"

#include <beds/core/error.hpp>

#include <sstream>
#include <status.hpp>

using namespace bedsctl;

namespace {

constexpr std::string_view page =
    R"({"live":true,"stuck":[],"ready":false,"dependencies":[)"
    R"({"name":"rabbitmq app_server","required":true,"ready":true},)"
    R"({"name":"database rel","required":true,"ready":false,"reason":"refused \u001b[31m"},)"
    R"({"name":"database rec","required":false,"ready":false,"reason":"away"}],)"
    R"("templates":[{"template":"","received":0},)"
    R"({"template":"items","received":28,"replied_ok":10,"rejected":6,"unknown":5,"dead":4,)"
    R"("requeued":2,"in_flight":1}],)"
    R"("queues":[{"service":"app_server","queue":"rel.read","messages":3,"consumers":2}]})";

} // namespace

TEST_CASE("status as a table") {
    std::ostringstream out;
    CHECK(print_status(out, page, format::table) == exit_code::refused);
    CHECK(out.str() ==
          "live, not ready\n"
          "\n"
          "dependency           state              reason\n"
          "-------------------  -----------------  ----------------\n"
          "rabbitmq app_server  ready\n"
          "database rel         MISSING            refused \\x1b[31m\n"
          "database rec         missing, optional  away\n"
          "\n"
          "template  received  replied_ok  rejected  unknown  dead  requeued  in_flight\n"
          "--------  --------  ----------  --------  -------  ----  --------  ---------\n"
          "items     28        10          6         5        4     2         1\n"
          "\n"
          "queue     service     messages  consumers\n"
          "--------  ----------  --------  ---------\n"
          "rel.read  app_server  3         2\n");
}

TEST_CASE("status tells what came of the last reload") {
    std::ostringstream out;
    print_status(
        out,
        R"({"live":true,"ready":true,"reload":{"last":"refused","text":"1 problem(s): ...",)"
        R"("problems":["a.toml:3: x\u001b"]}})",
        format::table);
    CHECK(out.str().find("last reload  templates\n"
                         "-----------  -----------------\n"
                         "refused      1 problem(s): ...\n"
                         "  a.toml:3: x\\x1b\n") != std::string::npos);
}

TEST_CASE("status as JSON is the page") {
    std::ostringstream out;
    CHECK(print_status(out, page, format::json) == exit_code::refused);
    CHECK(out.str() == page);
    CHECK(print_status(out, R"({"live":true,"ready":true})", format::table) == exit_code::ok);
    CHECK(print_status(out, "<html>", format::table) == exit_code::unknown);
    CHECK(print_status(out, "{}", format::json) == exit_code::unknown);
}

TEST_CASE("where the pages are") {
    options given;
    CHECK(admin_address(given) == "127.0.0.1:9464");
    given.admin = "[::1]:1";
    CHECK(admin_address(given) == "[::1]:1");
    given.admin = "node";
    CHECK_THROWS_AS(admin_address(given), usage_error);
    CHECK_THROWS_AS(fetch_status("127.0.0.1:1", std::chrono::seconds{2}), beds::core::error);
}
