#include "support/catch.hpp"

#include <beds/core/error.hpp>
#include <beds/templates/registry.hpp>

#include <chrono>
#include <string>
#include <utility>
#include <vector>

using namespace beds;
using namespace std::chrono_literals;

namespace {

constexpr std::string_view accounts = R"toml(
[template]
name       = "accounts"
version    = 3
service    = "app_server"
store      = "rel"
connection = "rel"
object     = "ms_accounts"
key        = ["id"]
tla        = "acc"
closed     = false

[fields]
id      = { type = "int64", generated = "database" }
owner   = { type = "uuid", required = true }
email   = { type = "string", max = 254, collation = "utf8mb4_general_ci", sensitivity = "pii" }
balance = { type = "decimal(18,2)", default = "0.00" }
status  = { type = "enum", values = ["open", "frozen", "closed"], default = "open", nullable = false }
created = { type = "datetime", generated = "now", column = "created_at" }

[[index]]
fields = ["owner", "created"]
[[index]]
fields = ["email"]
unique = true

[protect]
protected = ["id", "created", "balance"]

[read]
view = "v_accounts"

[write]
insert = "sp_accounts_insert"
update = "sp_accounts_update"
[write.errors]
"45010" = "NO_SUCH_OWNER"

[calls.transfer]
procedure = "sp_transfer"
class     = "write"
args      = [["from", "int64"], ["to", "int64"], ["amount", "decimal(18,2)"]]
out       = [["new_balance", "decimal(18,2)"]]
[calls.transfer.errors]
"45001"   = "INSUFFICIENT_FUNDS"

[calls.statement]
procedure = "bank.sp_statement"
class     = "read"
args      = [["account", "int64"], ["month", "date"]]
[[calls.statement.returns]]
name   = "summary"
fields = [["total", "decimal(18,2)"]]
[[calls.statement.returns]]
name   = "lines"
fields = [["at", "datetime"], ["amount", "decimal(18,2)"]]

[calls.draw]
procedure   = "sp_draw"
class       = "write"
args        = [["id", "int64"], ["amount", "decimal(18,2)"]]
out         = [["amount", "decimal(18,2)"], ["left", "decimal(18,2)"]]
dynamic_sql = true

[calls.worth]
function = "bank.fn_worth"
class    = "read"
args     = [["owner", "uuid"]]
out      = [["worth", "decimal(18,2)"]]

[limits]
max_rows = 200
max_in   = 50
deadline = "2s"

[features]
journal = false
)toml";

templates::template_def good(std::string_view text, const templates::load_settings& with = {}) {
    auto result = templates::parse(text, with);
    for (const auto& each : result.problems) {
        FAIL_CHECK(templates::to_string(each));
    }
    REQUIRE(result.parsed);
    return std::move(*result.parsed);
}

const templates::field& field(const templates::template_def& of, std::string_view name) {
    const auto id = of.find_field(name);
    REQUIRE(id);
    return of.fields[*id];
}

} // namespace

TEST_CASE("the example of the format loads with everything it says") {
    templates::load_settings settings;
    settings.wbid = "ms";
    settings.services = {"app_server"};
    settings.connections = {{"rel", templates::engine::rel}, {"rec", templates::engine::rec}};
    const auto made = good(accounts, settings);

    CHECK(made.name == "accounts");
    CHECK(made.version == 3);
    CHECK(made.service == "app_server");
    CHECK(made.store == templates::engine::rel);
    CHECK(made.connection == "rel");
    CHECK(made.object == "ms_accounts");
    CHECK(made.read_object() == "v_accounts");
    CHECK(made.file == "template.toml");

    std::vector<std::string> columns;
    for (const auto& each : made.fields) {
        columns.push_back(each.column);
    }
    CHECK(columns == std::vector<std::string>{"id_acc", "owner_acc", "email_acc", "balance_acc",
                                              "status_acc", "created_at"});
    CHECK(made.all_fields.size() == 6);
    CHECK(made.all_fields.json_key(1) == "\"owner\":");
    CHECK(made.key_layout.size() == 1);
    CHECK(made.key == std::vector<templates::field_id>{0});

    const auto& id = field(made, "id");
    CHECK(id.in_key);
    CHECK(id.indexed);
    CHECK_FALSE(id.nullable);
    CHECK(id.write_protected);
    CHECK(id.source == templates::generated::database);

    const auto& owner = field(made, "owner");
    CHECK(owner.required);
    CHECK_FALSE(owner.nullable);
    CHECK(owner.indexed);
    CHECK_FALSE(owner.in_key);

    const auto& email = field(made, "email");
    CHECK(email.type.max == 254);
    CHECK(email.nullable);
    CHECK(email.collation == "utf8mb4_general_ci");
    CHECK(email.sensitivity == "pii");

    const auto& balance = field(made, "balance");
    CHECK_FALSE(balance.indexed);
    CHECK(balance.default_text == "\"0.00\"");
    CHECK(balance.default_value == core::value::of_text(core::value::kind::decimal, "0.00"));

    const auto& status = field(made, "status");
    CHECK(status.type.values == std::vector<std::string>{"open", "frozen", "closed"});
    CHECK_FALSE(status.nullable);

    CHECK(field(made, "created").source == templates::generated::now);

    REQUIRE(made.indexes.size() == 2);
    CHECK(made.indexes[0].fields == std::vector<templates::field_id>{1, 5});
    CHECK(made.indexes[1].unique);

    CHECK(made.write.insert == "sp_accounts_insert");
    CHECK(made.write.update == "sp_accounts_update");
    CHECK(made.write.remove.empty());
    CHECK(made.write_errors.at("45010") == "NO_SUCH_OWNER");

    const auto* transfer = made.find_call("transfer");
    REQUIRE(transfer != nullptr);
    CHECK(transfer->routine == "sp_transfer");
    REQUIRE(transfer->args.size() == 3);
    CHECK(transfer->args[2].name == "amount");
    CHECK(core::to_string(transfer->args[2].type) == "decimal(18,2)");
    CHECK(transfer->out_layout.size() == 1);
    CHECK(transfer->errors.at("45001") == "INSUFFICIENT_FUNDS");
    CHECK(made.class_of(core::verb::call, transfer) == core::op_class::write);

    CHECK(transfer->shown() == "procedure 'sp_transfer'");
    CHECK_FALSE(transfer->dynamic_sql);
    const auto* draw = made.find_call("draw");
    REQUIRE(draw != nullptr);
    CHECK(draw->inout == 1);
    CHECK(draw->out.size() == 2);
    CHECK(draw->dynamic_sql);
    const auto* worth = made.find_call("worth");
    REQUIRE(worth != nullptr);
    CHECK(worth->routine == "bank.fn_worth()");
    CHECK(worth->is_function());
    CHECK(worth->shown() == "function 'bank.fn_worth'");
    CHECK_FALSE(made.write.dynamic_sql);

    const auto* statement = made.find_call("statement");
    REQUIRE(statement != nullptr);
    REQUIRE(statement->returns.size() == 2);
    CHECK(statement->returns[1].name == "lines");
    CHECK(statement->returns[1].layout.size() == 2);
    CHECK(made.class_of(core::verb::call, statement) == core::op_class::read);
    CHECK(made.find_call("transfers") == nullptr);

    CHECK(made.limits.max_rows == 200);
    CHECK(made.limits.max_in == 50);
    CHECK(made.limits.deadline == 2s);

    CHECK(made.suggest_field("ballance") == "; did you mean 'balance'?");
    CHECK(made.class_of(core::verb::find) == core::op_class::read);
    CHECK(made.class_of(core::verb::remove) == core::op_class::write);
}

TEST_CASE("the least template has sensible defaults") {
    const auto made = good(R"toml(
[template]
name = "countries"
store = "rel"
object = "countries"
key = ["alpha2"]
[fields]
alpha2 = { type = "string", max = 2 }
name = { type = "string" }
)toml");
    CHECK(made.version == 1);
    CHECK(made.service == "app_server");
    CHECK(made.connection == "rel");
    CHECK(made.read_object() == "countries");
    CHECK(made.limits.max_rows == 1000);
    CHECK(made.limits.max_in == 500);
    CHECK_FALSE(made.limits.deadline);
    CHECK(field(made, "alpha2").column == "alpha2");
    CHECK_FALSE(field(made, "alpha2").nullable);
    CHECK(field(made, "name").nullable);
    CHECK_FALSE(field(made, "name").default_text);
    CHECK(field(made, "name").default_value.is_null());
}

TEST_CASE("errors of triggers have reasons, without any procedure") {
    const auto made = good(R"toml(
[template]
name = "countries"
store = "rel"
object = "countries"
key = ["alpha2"]
[fields]
alpha2 = { type = "string", max = 2 }
[write.errors]
45001 = "NOT_ON_SUNDAYS"
)toml");
    CHECK(made.write_errors.at("45001") == "NOT_ON_SUNDAYS");
    CHECK(made.write.insert.empty());
}

TEST_CASE("the same format drives MongoDB") {
    const auto made = good(R"toml(
[template]
name = "subdivisions"
store = "rec"
object = "geo.subdivisions"
key = ["code"]
[fields]
code    = { type = "string", column = "_id" }
country = { type = "string", required = true }
seen    = { type = "datetime", generated = "now" }
ref     = { type = "uuid", generated = "uuid" }
extra   = { type = "document" }
flag    = { type = "string" }
made    = { type = "datetime", stored = "date" }
parent  = { type = "string", stored = "object_id" }
[[index]]
fields = ["country"]
[[index]]
fields = ["seen"]
expire_after = "30d"
[[index]]
fields = ["flag"]
where = { country = "MX" }
[calls.per_country]
class = "read"
args = [["country", "string"]]
pipeline = '''
[ {"$match": {"country": {"$arg": "country"}}},
  {"$group": {"_id": "$country", "n": {"$sum": 1}}} ]
'''
[[calls.per_country.returns]]
name = "rows"
fields = [["n", "int64"]]
)toml");
    CHECK(made.store == templates::engine::rec);
    CHECK(made.connection == "rec");
    CHECK(field(made, "code").column == "_id");
    CHECK(made.indexes[1].expire_after == 24h * 30);
    CHECK(made.indexes[2].where_json == R"({"country":"MX"})");
    CHECK(field(made, "seen").indexed);
    CHECK(field(made, "seen").stored == templates::stored_form::date); // its TTL index needs it
    CHECK(field(made, "ref").stored == templates::stored_form::usual);
    CHECK(field(made, "made").stored == templates::stored_form::date);
    CHECK(field(made, "parent").stored == templates::stored_form::object_id);
    CHECK(field(made, "parent").type.max == 24);
    // Reached by a partial index only: a query without its condition would scan.
    CHECK_FALSE(field(made, "flag").indexed);
    const auto* per_country = made.find_call("per_country");
    REQUIRE(per_country != nullptr);
    CHECK(per_country->pipeline.find("\"$group\"") != std::string::npos);
}

TEST_CASE("fields keep the order of the file, however they are written") {
    const auto made = good(R"toml(
[template]
name = "things"
store = "rel"
object = "things"
key = ["zebra", "ant"]
[fields]
zebra.type = "int32"
[fields.mule]
type = "string"
[fields.ant]
type = "int32"
)toml");
    REQUIRE(made.fields.size() == 3);
    CHECK(made.fields[0].name == "zebra");
    CHECK(made.fields[1].name == "mule");
    CHECK(made.fields[2].name == "ant");
    CHECK(made.key == std::vector<templates::field_id>{0, 2});
}

TEST_CASE("defaults are converted to their field's type") {
    const auto made = good(R"toml(
[template]
name = "defaults"
store = "rel"
object = "defaults"
key = ["id"]
[fields]
id   = { type = "int64" }
yes  = { type = "bool", default = true }
n    = { type = "uint64", default = "18446744073709551615" }
r    = { type = "double", default = 0.1 }
d    = { type = "decimal(6,3)", default = 7 }
s    = { type = "string", default = "a \"quoted\" é" }
b    = { type = "bytes", default = "AAEC" }
day  = { type = "date", default = 2026-01-31 }
at   = { type = "datetime", default = 2026-01-31T01:02:03Z }
none = { type = "string", default = "" }
)toml");
    using core::value;
    CHECK(field(made, "yes").default_value == value::of_bool(true));
    CHECK(field(made, "n").default_value == value::of_uint(18446744073709551615U));
    CHECK(field(made, "r").default_value == value::of_real(0.1));
    CHECK(field(made, "d").default_value.text == "7.000");
    CHECK(field(made, "s").default_value.text == "a \"quoted\" é");
    CHECK(field(made, "s").default_text == "\"a \\\"quoted\\\" é\"");
    CHECK(field(made, "b").default_value.text == std::string_view("\0\1\2", 3));
    CHECK(field(made, "day").default_value.integer == core::parse_date("2026-01-31"));
    CHECK(field(made, "at").default_value.integer == core::parse_datetime("2026-01-31T01:02:03Z"));
    CHECK(field(made, "none").default_value == value::of_text(value::kind::string, ""));
}

TEST_CASE("a default outlives moves and copies of its template") {
    auto first = good(accounts);
    const auto copy = first;
    auto moved = std::move(first);
    std::vector<templates::template_def> many;
    for (int i = 0; i < 20; ++i) {
        many.push_back(moved);
    }
    { const auto gone = std::move(moved); }
    CHECK(field(copy, "status").default_value.text == "open");
    CHECK(field(many.front(), "balance").default_value.text == "0.00");
}

TEST_CASE("two registries stand side by side") {
    auto other = good(accounts);
    other.object = "other_accounts";
    std::vector<templates::template_def> left_templates;
    left_templates.push_back(good(accounts));
    std::vector<templates::template_def> right_templates;
    right_templates.push_back(std::move(other));
    const templates::registry left{std::move(left_templates)};
    const templates::registry right{std::move(right_templates)};
    REQUIRE(left.find("accounts") != nullptr);
    REQUIRE(right.find("accounts") != nullptr);
    CHECK(left.find("accounts")->object == "ms_accounts");
    CHECK(right.find("accounts")->object == "other_accounts");
    CHECK(left.find("account") == nullptr);
    CHECK(left.suggest("acounts") == "; did you mean 'accounts'?");
    CHECK(left.suggest("zebra").empty());
    CHECK(left.all().size() == 1);
}

TEST_CASE("a registry refuses two templates of one name") {
    std::vector<templates::template_def> twice{good(accounts), good(accounts)};
    try {
        const templates::registry made{std::move(twice)};
        FAIL("accepted");
    } catch (const core::error& failure) {
        CHECK(failure.code() == core::errc::duplicate_name);
        CHECK(failure.message() == "two templates are called 'accounts'");
    }
}

TEST_CASE("a damaged file gets an answer whatever the damage") {
    const auto with_answer = [](std::string_view text) {
        const auto result = templates::parse(text);
        return result.parsed.has_value() == result.problems.empty();
    };
    std::size_t without = 0;
    for (std::size_t i = 0; i < accounts.size(); ++i) {
        without += with_answer(accounts.substr(0, i)) ? 0U : 1U;
        for (const char c : {'[', '"', '\0', '=', '{', '\xc3'}) {
            std::string damaged{accounts};
            damaged[i] = c;
            without += with_answer(damaged) ? 0U : 1U;
        }
    }
    CHECK(without == 0);
}

TEST_CASE(
    "on rec what may not be null and nothing else gives is required: no database asks for it") {
    const auto read = [](const char* store) {
        const auto parsed =
            templates::parse(std::string{"[template]\nname = \"t\"\nstore = \""} + store + R"toml("
object = "t"
key = ["id", "part"]
[fields]
id    = { type = "string", max = 20 }
part  = { type = "uuid", generated = "uuid" }
state = { type = "string", nullable = false, default = "new" }
sum   = { type = "int64", nullable = false }
seen  = { type = "datetime", nullable = false }
note  = { type = "string" }
[protect]
protected = ["seen"]
)toml");
        REQUIRE(parsed.parsed);
        std::string made;
        for (const auto& each : parsed.parsed->fields) {
            made += each.required ? each.name + ' ' : "";
        }
        return made;
    };
    CHECK(read("rec") == "id sum ");
    CHECK(read("rel").empty()); // there the database may have a default of its own
}
