#include "support/catch.hpp"

#include <beds/templates/registry.hpp>
#include <beds/templates/writer.hpp>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <tuple>

using namespace beds;

namespace {

std::string read(const std::filesystem::path& file) {
    std::ifstream in{file};
    REQUIRE(in);
    return std::string{std::istreambuf_iterator<char>{in}, {}};
}

templates::template_def parsed(const std::string& text) {
    const auto got = templates::parse(text);
    for (const auto& each : got.problems) {
        UNSCOPED_INFO(to_string(each));
    }
    INFO(text);
    REQUIRE(got.parsed);
    return *got.parsed;
}

void check_same(const core::row_layout& left, const core::row_layout& right) {
    REQUIRE(left.size() == right.size());
    for (std::size_t i = 0; i < left.size(); ++i) {
        CHECK(left.columns()[i].name == right.columns()[i].name);
        CHECK(left.columns()[i].type == right.columns()[i].type);
    }
}

void check_same(const templates::template_def& left, const templates::template_def& right) {
    const auto about = [](const templates::template_def& of) {
        return std::tie(of.name, of.version, of.service, of.store, of.connection, of.object, of.tla,
                        of.key, of.read_view, of.write.insert, of.write.update, of.write.remove,
                        of.write_errors, of.limits.max_rows, of.limits.max_in, of.limits.deadline);
    };
    CHECK(about(left) == about(right));
    const auto more = [](const templates::template_def& of) {
        return std::tie(of.closed, of.order_by, of.soft_delete, of.write.dynamic_sql,
                        of.limits.max_bytes, of.limits.max_depth);
    };
    CHECK(more(left) == more(right));
    REQUIRE(left.fields.size() == right.fields.size());
    for (std::size_t i = 0; i < left.fields.size(); ++i) {
        const auto field = [](const templates::field& of) {
            return std::tie(of.name, of.column, of.type, of.required, of.nullable,
                            of.write_protected, of.indexed, of.in_key, of.source, of.stored,
                            of.default_text, of.collation, of.sensitivity);
        };
        INFO(left.fields[i].name);
        CHECK(field(left.fields[i]) == field(right.fields[i]));
    }
    REQUIRE(left.indexes.size() == right.indexes.size());
    for (std::size_t i = 0; i < left.indexes.size(); ++i) {
        const auto index = [](const templates::index& of) {
            return std::tie(of.fields, of.unique, of.expire_after, of.where_json);
        };
        CHECK(index(left.indexes[i]) == index(right.indexes[i]));
    }
    REQUIRE(left.calls.size() == right.calls.size());
    for (std::size_t i = 0; i < left.calls.size(); ++i) {
        const auto& a = left.calls[i];
        const auto& b = right.calls[i];
        CHECK(
            std::tie(a.name, a.op_class, a.routine, a.dynamic_sql, a.inout, a.pipeline, a.errors) ==
            std::tie(b.name, b.op_class, b.routine, b.dynamic_sql, b.inout, b.pipeline, b.errors));
        REQUIRE(a.args.size() == b.args.size());
        for (std::size_t k = 0; k < a.args.size(); ++k) {
            CHECK(std::tie(a.args[k].name, a.args[k].type) ==
                  std::tie(b.args[k].name, b.args[k].type));
        }
        check_same(a.out_layout, b.out_layout);
        REQUIRE(a.returns.size() == b.returns.size());
        for (std::size_t k = 0; k < a.returns.size(); ++k) {
            CHECK(a.returns[k].name == b.returns[k].name);
            check_same(a.returns[k].layout, b.returns[k].layout);
        }
    }
}

void check_written(const std::string& text) {
    const auto first = parsed(text);
    const auto written = templates::to_toml(first);
    check_same(first, parsed(written));
}

} // namespace

TEST_CASE("a template that is written is the same when it is read again") {
    check_written(R"toml(
[template]
name       = "everything"
version    = 3
service    = "app_server"
store      = "rel"
connection = "other"
object     = "shop.ms_everything"
key        = ["id", "part"]
tla        = "acc"
[fields]
id      = { type = "int64", generated = "database" }
part    = { type = "uint8" }
owner   = { type = "uuid", generated = "uuid" }
email   = { type = "string", max = 254, collation = "utf8mb4_general_ci", sensitivity = "pii" }
balance = { type = "decimal(18,2)", default = "0.00", nullable = false }
status  = { type = "enum", values = ["open", "fro\"zen"], default = "open" }
text    = { type = "string", default = "a\tb \\ \u00e9 'x'" }
ratio   = { type = "double", default = 0.1 }
on      = { type = "bool", default = true }
blob    = { type = "bytes", max = 16, required = true, nullable = true }
created = { type = "datetime", generated = "now", column = "created_at" }
[[index]]
fields = ["owner", "created"]
[[index]]
fields = ["email"]
unique = true
[protect]
protected = ["id", "balance"]
[read]
view = "v_everything"
[write]
insert = "sp_insert"
delete = "sp_delete"
dynamic_sql = true
[write.errors]
"45010" = "NO_SUCH_OWNER"
[calls.transfer]
procedure = "sp_transfer"
class     = "write"
args      = [["from", "int64"], ["amount", "decimal(18,2)"]]
out       = [["new_balance", "decimal(18,2)"]]
[calls.transfer.errors]
"45001"   = "INSUFFICIENT_FUNDS"
"45002"   = "FROZEN"
[calls.statement]
procedure = "sp_statement"
class     = "read"
[[calls.statement.returns]]
name   = "summary"
fields = [["total", "decimal(18,2)"]]
[[calls.statement.returns]]
name   = "lines"
fields = [["at", "datetime"], ["amount", "decimal(18,2)"]]
[limits]
max_rows = 10
max_in   = 20
deadline = "1500ms"
)toml");
    check_written(R"toml(
[template]
name        = "ordered"
store       = "rel"
object      = "ordered"
key         = ["id"]
soft_delete = "gone"
closed      = true
order_by    = "id"
[fields]
id   = { type = "int64", required = true }
gone = { type = "datetime" }
[calls.draw]
procedure   = "sp_draw"
class       = "write"
dynamic_sql = true
args        = [["id", "int64"], ["amount", "decimal(18,2)"]]
out         = [["amount", "decimal(18,2)"], ["left", "decimal(18,2)"]]
[calls.worth]
function = "fn_worth"
class    = "read"
args     = [["id", "int64"]]
out      = [["worth", "decimal(18,2)"]]
[limits]
max_bytes = 4096
max_depth = 7
)toml");
    check_written(R"toml(
[template]
name   = "places"
store  = "rec"
object = "geo.places"
key    = ["code"]
[fields]
code    = { type = "string", max = 6 }
names   = { type = "document" }
touched = { type = "datetime" }
made    = { type = "datetime", stored = "date" }
parent  = { type = "string", stored = "object_id", nullable = false, required = true }
status  = { type = "string" }
rank    = { type = "int32" }
[[index]]
fields       = ["touched"]
expire_after = "36h"
[[index]]
fields = ["rank"]
where  = { status = "open", rank = 7 }
[calls.by_rank]
pipeline = '''[{"$match": {"rank": {"$gte": {"$arg": "least"}}}}]'''
class    = "read"
args     = [["least", "int32"]]
[[calls.by_rank.returns]]
name   = "found"
fields = [["code", "string"]]
)toml");
}

TEST_CASE("the templates of the package and of the quickstart are the same when they are written") {
    int seen = 0;
    for (const auto* folder : {BEDS_PACKAGE_TEMPLATES, BEDS_QUICKSTART_TEMPLATES}) {
        for (const auto& each : std::filesystem::recursive_directory_iterator{folder}) {
            if (each.path().extension() == ".toml") {
                INFO(each.path());
                check_written(read(each.path()));
                ++seen;
            }
        }
    }
    CHECK(seen >= 4);
}

TEST_CASE("remarks are comments that cannot end their line") {
    auto made = parsed(R"toml(
[template]
name   = "t"
store  = "rel"
object = "t"
key    = ["id"]
[fields]
id = { type = "int64" }
)toml");
    const auto text = templates::to_toml(made, {{"from t", "two\nlines"}, {{"id", "a\r\nb = 1"}}});
    CHECK(text.starts_with("# from t\n# two lines\n\n[template]\n"));
    CHECK(text.find("id = { type = \"int64\" } # a  b = 1\n") != std::string::npos);
    check_same(made, parsed(text));
}

TEST_CASE("columns get names that clients can say") {
    const auto named = [](std::vector<std::string> columns) {
        templates::template_def made;
        for (auto& each : columns) {
            made.fields.emplace_back().column = std::move(each);
        }
        templates::name_fields(made);
        std::string all = made.tla + ':';
        for (const auto& each : made.fields) {
            all += ' ' + each.name;
        }
        return all;
    };
    CHECK(named({"id", "FirstName", "last name"}) == ": id firstname last_name");
    CHECK(named({"id_acc", "first_name_acc"}) == "acc: id first_name");
    CHECK(named({"id_acc", "first_name_usr"}) == ": id_acc first_name_usr");
    CHECK(named({"id_acc"}) == ": id_acc");
    CHECK(named({"a-b", "a_b", "a b"}) == ": a_b a_b_2 a_b_3");
    CHECK(named({"2nd", "_id", "__"}) == ": f_2nd id f_");
    CHECK(templates::name_for_object("shop.ms_Accounts", "ms") == "accounts");
    CHECK(templates::name_for_object("ms_Accounts", "ms_") == "accounts");
    CHECK(templates::name_for_object("ms_", "ms") == "ms_");
    CHECK(templates::name_for_object("accounts", "") == "accounts");
}
