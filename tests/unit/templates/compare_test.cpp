#include "support/catch.hpp"

#include <beds/templates/registry.hpp>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

using namespace beds;
using templates::change;

namespace {

constexpr std::string_view accounts = R"toml(
[template]
name    = "accounts"
version = 3
store   = "rel"
object  = "accounts"
key     = ["id"]
[fields]
id      = { type = "int64", required = true }
owner   = { type = "string", max = 20, sensitivity = "pii" }
balance = { type = "decimal(18,2)", default = "0.00" }
[[index]]
fields = ["owner"]
[protect]
protected = ["balance"]
[write]
insert = "sp_insert"
update = "sp_update"
delete = "sp_delete"
[write.errors]
"45000" = "NOT_ALLOWED"
[calls.transfer]
procedure = "sp_transfer"
class = "write"
args = [["from", "int64"], ["to", "int64"]]
out = [["left", "decimal(18,2)"]]
[calls.transfer.errors]
"45001" = "INSUFFICIENT_FUNDS"
[limits]
max_rows = 200
deadline = "2s"
)toml";

templates::template_def good(std::string_view text) {
    auto result = templates::parse(text);
    for (const auto& each : result.problems) {
        FAIL_CHECK(templates::to_string(each));
    }
    REQUIRE(result.parsed);
    return std::move(*result.parsed);
}

std::string instead(std::string_view part, std::string_view by) {
    std::string text{accounts};
    const auto at = text.find(part);
    REQUIRE(at != std::string::npos);
    return text.replace(at, part.size(), by);
}

templates::registry only(std::string_view text) {
    return templates::registry{{good(text)}};
}

std::string simple(const std::string& name, int version = 1) {
    return "template = { name = \"" + name + "\", version = " + std::to_string(version) +
           R"(, store = "rel", object = "t", key = ["id"] }
[fields]
id = { type = "int64" }
)";
}

} // namespace

TEST_CASE("compare: whatever a template says makes another one of it") {
    struct edit {
        std::string_view part;
        std::string_view by;
    };
    for (const auto& [part, by] : {
             edit{R"(object  = "accounts")", R"(object = "others")"},
             edit{R"(key     = ["id"])", R"(key = ["id", "owner"])"},
             edit{"max = 20", "max = 21"},
             edit{R"(type = "int64", required)", R"(type = "int32", required)"},
             edit{R"(, sensitivity = "pii")", ""},
             edit{R"(default = "0.00")", R"(default = "0.01")"},
             edit{R"(default = "0.00")", R"(default = "0.00", column = "b")"},
             edit{"owner   =", "email = { type = \"string\", max = 9 }\nowner   ="},
             edit{"[[index]]\nfields = [\"owner\"]\n", ""},
             edit{R"(fields = ["owner"])", "fields = [\"owner\"]\nunique = true"},
             edit{R"(protected = ["balance"])", R"(protected = ["owner"])"},
             edit{R"("sp_update")", R"("sp_update2")"},
             edit{R"("NOT_ALLOWED")", R"("FORBIDDEN")"},
             edit{R"("sp_transfer")", R"("sp_transfer_2")"},
             edit{R"(class = "write")", R"(class = "bulk")"},
             edit{R"(["to", "int64"])", R"(["to", "int32"])"},
             edit{R"(out = [["left")", R"(out = [["rest")"},
             edit{R"("INSUFFICIENT_FUNDS")", R"("POOR")"},
             edit{"max_rows = 200", "max_rows = 201"},
             edit{"max_rows = 200", "max_rows = 200\nmax_in = 7"},
             edit{R"("2s")", R"("3s")"},
             edit{R"(store   = "rel")", "store = \"rel\"\nconnection = \"other\""},
             edit{R"(store   = "rel")", "store = \"rel\"\nservice = \"other\""},
         }) {
        INFO(part << " becomes " << by);
        CHECK(templates::compare(only(accounts), only(instead(part, by))) ==
              std::vector<change>{{"accounts", 3, 3}});
    }
    CHECK(templates::compare(only(accounts), only(instead("version = 3", "version = 4"))) ==
          std::vector<change>{{"accounts", 3, 4}});
}

TEST_CASE("compare: how a template is written, and in which file, does not count") {
    CHECK(templates::compare(only(accounts), only(accounts)).empty());
    CHECK(templates::compare(only(accounts), only("# a remark\n" + std::string{accounts})).empty());
    CHECK(templates::compare(only(accounts), only(instead("max_rows = 200\ndeadline = \"2s\"",
                                                          "deadline = '2000ms'\nmax_rows = 200")))
              .empty());
    auto elsewhere = good(accounts);
    elsewhere.file = "another.toml";
    CHECK(templates::compare(only(accounts), templates::registry{{elsewhere}}).empty());
}

TEST_CASE("compare: what came, what went and what is another one, in order of name") {
    const templates::registry before{
        {good(simple("b")), good(simple("d", 2)), good(simple("e")), good(simple("f"))}};
    const templates::registry after{{good(simple("a")), good(simple("c", 7)), good(simple("d", 5)),
                                     good(simple("e")), good(simple("g"))}};
    const auto changes = templates::compare(before, after);
    CHECK(changes ==
          std::vector<change>{
              {"a", {}, 1}, {"b", 1, {}}, {"c", {}, 7}, {"d", 2, 5}, {"f", 1, {}}, {"g", {}, 1}});
    CHECK(to_string(changes[2]) == "c (version 7)");
    CHECK(to_string(changes[3]) == "d (version 2 to 5)");
    CHECK(to_string(changes[4]) == "f (version 1)");
    CHECK(templates::compare(before, templates::registry{{}}).size() == 4);
    CHECK(templates::compare(templates::registry{{}}, after).size() == 5);
}
