#include "guests.hpp"

namespace beds::test {

using Catch::Contains;
using namespace std::chrono_literals;

std::vector<std::string> guest_templates(const std::string& store) {
    const std::string fields = R"toml(
[fields]
id    = { type = "int64", required = true }
email = { type = "string", max = 40 }
name  = { type = "string", max = 40 }
stays = { type = "int32" }
gone  = { type = "datetime" }
[[index]]
fields = ["name"]
)toml";
    const auto about = [&](const std::string& name, const std::string& more) {
        return "[template]\nname = \"" + name + "\"\nstore = \"" + store +
               "\"\nobject = \"guests\"\nkey = [\"id\"]\n" + more + fields;
    };
    return {about("guests", "soft_delete = \"gone\"\n"),
            about("all_guests", "") + "[[index]]\nfields = [\"email\"]\nunique = true\n"};
}

std::string guest_desk::operator()(const std::string& members, const std::string& of,
                                   const std::string& id) {
    auto request =
        client::request::from_json(R"({"v":1,"template":")" + of + "\"," + members + '}');
    request.id = id;
    return std::string{through_.call(std::move(request), 10s).json()};
}

void check_soft_delete(client::client& through) {
    guest_desk ask{through};
    for (int i = 1; i <= 4; ++i) {
        REQUIRE_THAT(ask(R"("op":"insert","data":{"id":)" + std::to_string(i) + R"(,"email":"e)" +
                         std::to_string(i) + R"(","name":"x","stays":1})"),
                     Contains("applied"));
    }
    CHECK_THAT(ask(R"("op":"delete","key":2)", "guests", "one-delete"),
               Contains("applied") && Contains(R"("count":1)"));
    // The same request again, not another one.
    CHECK_THAT(ask(R"("op":"delete","key":2)", "guests", "one-delete"), Contains("applied"));
    CHECK_THAT(ask(R"("op":"delete","key":2)"), Contains("NOT_FOUND"));
    CHECK_THAT(ask(R"("op":"fetch","key":2)"), Contains(R"("rows":[])"));
    CHECK_THAT(ask(R"("op":"fetch","key":1)"), Contains(R"("id":1)"));
    CHECK_THAT(ask(R"("op":"count","where":{"name":"x"})"), Contains(R"("total":3)"));
    CHECK_THAT(ask(R"("op":"exists","where":{"id":2})"), Contains(R"("exists":false)"));
    CHECK_THAT(ask(R"("op":"find","fields":["id"])"),
               Contains(R"("rows":[{"id":1},{"id":3},{"id":4}])"));
    CHECK_THAT(ask(R"("op":"update","key":2,"set":{"name":"y"})"), Contains("NOT_FOUND"));
    CHECK_THAT(ask(R"("op":"update","key":2,"set":{"name":"y"},"if":{"name":"z"})"),
               Contains("NOT_FOUND"));
    CHECK_THAT(ask(R"("op":"delete","key":2,"if":{"name":"z"})"), Contains("NOT_FOUND"));
    CHECK_THAT(ask(R"("op":"delete","key":3,"if":{"name":"z"})"), Contains("CONFLICT"));
    CHECK_THAT(ask(R"("op":"update","key":3,"set":{"name":"y"},"if":{"name":"z"})"),
               Contains("CONFLICT"));
    // As it was right before, and it was not marked.
    CHECK_THAT(ask(R"("op":"delete","key":4,"return":["id","gone"])"),
               Contains("applied") && Contains(R"("rows":[{"id":4,"gone":null}])"));
    CHECK_THAT(ask(R"("op":"delete","where":{"name":"x"})"), Contains(R"("count":2)"));
    CHECK_THAT(ask(R"("op":"count")"), Contains(R"("total":0)"));
    CHECK_THAT(ask(R"("op":"count")", "all_guests"), Contains(R"("total":4)"));
    CHECK_THAT(ask(R"("op":"count","where":{"name":"y"})", "all_guests"), Contains(R"("total":0)"));
    CHECK_THAT(ask(R"("op":"fetch","key":3)", "all_guests"), Contains(R"("gone":"20)"));
}

void check_conflicts(client::client& through) {
    guest_desk ask{through};
    const std::string insert = R"("op":"insert","data":{"id":1,"email":"a","name":"n","stays":)";
    const std::string takes = R"(,"on_conflict":{"do":"update","set":["stays"]})";
    CHECK_THAT(ask(insert + "1}" + takes, "all_guests"),
               Contains("applied") && Contains(R"("keys":[1])"));
    CHECK_THAT(ask(insert + "2}" + takes + R"(,"return":["name","stays"])", "all_guests", "again"),
               Contains("applied") && Contains(R"("count":1)") && Contains(R"("stays":2)"));
    // Somebody changes it; the first request sent again neither does it again nor forgets it.
    CHECK_THAT(ask(R"("op":"update","key":1,"set":{"stays":7,"name":"m"})", "all_guests"),
               Contains("applied"));
    CHECK_THAT(ask(insert + "2}" + takes + R"(,"return":["name","stays"])", "all_guests", "again"),
               Contains("applied") && Contains(R"("rows":[{"name":"n","stays":2}])"));
    CHECK_THAT(
        ask(insert + R"(9},"on_conflict":{"do":"nothing"},"return":["stays"])", "all_guests"),
        Contains(R"("effect":"none")") && Contains(R"("count":0)") && Contains(R"("stays":7)"));
    // Another unique index is no reason to take over.
    CHECK_THAT(ask(R"("op":"insert","data":{"id":2,"email":"a"},"on_conflict":{"do":"nothing"})",
                   "all_guests"),
               Contains("DUPLICATE_KEY") && Contains(R"("field":"email")"));
    CHECK_THAT(ask(R"("op":"insert","data":{"id":5},"on_conflict":{"do":"nothing"})"),
               Contains("UNSUPPORTED"));
    CHECK_THAT(ask(R"("op":"count")", "all_guests"), Contains(R"("total":1)"));
}

void check_returned_rows(client::client& through) {
    guest_desk ask{through};
    CHECK_THAT(
        ask(R"("op":"insert","data":[{"id":2,"name":"b"},{"id":1,"email":"a","name":"a","stays":3}],)"
            R"("return":["id","stays"])",
            "all_guests"),
        Contains(R"("rows":[{"id":2,"stays":null},{"id":1,"stays":3}])") &&
            Contains(R"("keys":[2,1])"));
    CHECK_THAT(
        ask(R"("op":"update","key":1,"inc":{"stays":1},"return":["stays"])", "all_guests", "stay"),
        Contains(R"("rows":[{"stays":4}])"));
    CHECK_THAT(
        ask(R"("op":"update","key":1,"inc":{"stays":1},"return":["stays"])", "all_guests", "stay"),
        Contains(R"("rows":[{"stays":4}])"));
    CHECK_THAT(ask(R"("op":"fetch","key":1,"fields":["stays"])", "all_guests"),
               Contains(R"("rows":[{"stays":4}])"));
    CHECK_THAT(ask(R"("op":"update","key":2,"inc":{"stays":1})", "all_guests"),
               Contains("CONSTRAINT") && Contains(R"("field":"stays")"));
    CHECK_THAT(ask(R"("op":"update","key":9,"set":{"stays":1},"return":["id"])", "all_guests"),
               Contains("NOT_FOUND"));
    CHECK_THAT(ask(R"("op":"delete","key":1,"return":["name","stays"])", "all_guests", "leave"),
               Contains(R"("rows":[{"name":"a","stays":4}])") && Contains(R"("count":1)"));
    CHECK_THAT(ask(R"("op":"delete","key":1,"return":["name","stays"])", "all_guests", "leave"),
               Contains(R"("rows":[{"name":"a","stays":4}])"));
    CHECK_THAT(ask(R"("op":"count")", "all_guests"), Contains(R"("total":1)"));
}

void check_by_where(client::client& through, bool transactions) {
    guest_desk ask{through};
    for (int i = 1; i <= 3; ++i) {
        REQUIRE_THAT(ask(R"("op":"insert","data":{"id":)" + std::to_string(i) + R"(,"email":"e)" +
                             std::to_string(i) + R"(","name":"w","stays":1})",
                         "all_guests"),
                     Contains("applied"));
    }
    const auto changed =
        ask(R"("op":"update","where":{"name":"w"},"set":{"name":"v"},"return":["id","name"])",
            "all_guests");
    const auto gone = ask(R"("op":"delete","where":{"name":"v"},"return":["id"])", "all_guests");
    if (transactions) {
        CHECK_THAT(changed, Contains(R"("count":3)") && Contains(R"({"id":2,"name":"v"})"));
        CHECK_THAT(gone, Contains(R"("count":3)") && Contains(R"({"id":3})"));
        CHECK_THAT(ask(R"("op":"count")", "all_guests"), Contains(R"("total":0)"));
    } else {
        CHECK_THAT(changed, Contains("UNSUPPORTED") && Contains(R"("effect":"none")"));
        CHECK_THAT(gone, Contains("UNSUPPORTED"));
        CHECK_THAT(ask(R"("op":"count","where":{"name":"w"})", "all_guests"),
                   Contains(R"("total":3)"));
    }
}

} // namespace beds::test
