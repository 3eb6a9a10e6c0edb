#include "factory/bind.hpp"
#include "support/catch.hpp"

#include <beds/templates/registry.hpp>
#include <beds/wire/cursor.hpp>
#include <beds/wire/request.hpp>

#include <functional>
#include <string>
#include <vector>

using namespace beds;

namespace {

constexpr std::string_view toml = R"toml(
[template]
name   = "orders"
store  = "rel"
object = "orders"
key    = ["id"]
[fields]
id       = { type = "int64", required = true }
owner    = { type = "string", max = 10, required = true }
state    = { type = "enum", values = ["open", "closed"], default = "open" }
amount   = { type = "decimal(8,2)", default = "0.00" }
weight   = { type = "double" }
secret   = { type = "string", max = 10 }
created  = { type = "datetime", generated = "now" }
token    = { type = "uuid", generated = "uuid" }
[[index]]
fields = ["owner"]
[[index]]
fields = ["amount"]
[protect]
protected = ["secret"]
[calls.close]
procedure = "sp_close"
class     = "write"
args      = [["order", "int64"], ["why", "string"]]
[limits]
max_rows = 50
max_in   = 3
)toml";

constexpr std::string_view compound = R"toml(
[template]
name   = "lines"
store  = "rel"
object = "lines"
key    = ["order", "position"]
[fields]
order    = { type = "int64", required = true }
position = { type = "int32", required = true }
text     = { type = "string", max = 10 }
)toml";

/// Everything that lives as long as a bound operation.
struct bench {
    using change = std::function<void(templates::template_def&)>;
    explicit bench(const change& changed = {}) : registry(make(changed)), bind(registry.all()) {}

    static std::vector<templates::template_def> make(const change& changed) {
        std::vector<templates::template_def> all;
        for (const auto text : {toml, compound}) {
            auto parsed = templates::parse(text);
            for (const auto& one : parsed.problems) {
                UNSCOPED_INFO(templates::to_string(one));
            }
            REQUIRE(parsed.parsed);
            if (changed) {
                changed(*parsed.parsed);
            }
            all.push_back(std::move(*parsed.parsed));
        }
        auto twin = all.back(); // of `lines`, in all but its name
        twin.name = "twins";
        all.push_back(std::move(twin));
        return all;
    }

    std::optional<core::outcome> operator()(std::string_view json) {
        memory.reset();
        bound = {};
        text = "{\"v\":1," + std::string{json} + "}";
        core::request request;
        const auto refused = decoder.decode(text, memory, request);
        REQUIRE_FALSE(refused);
        const auto& op = request.operations.front();
        INFO(op.refusal);
        REQUIRE(op.refused == core::code::ok);
        bound.target = registry.find(op.template_name);
        REQUIRE(bound.target != nullptr);
        bound.call = op.op == core::verb::call ? bound.target->find_call(op.name) : nullptr;
        return bind.bind(op, clock.now, memory, bound);
    }

    struct set_clock final : core::clock {
        core::system_time now{};
        [[nodiscard]] core::steady_time steady_now() const override { return {}; }
        [[nodiscard]] core::system_time system_now() const override { return now; }
    };

    set_clock clock;
    templates::registry registry;
    factory::binder bind;
    wire::request_decoder decoder;
    core::arena memory;
    std::string text;
    adapters::bound_operation bound;
};

struct refusal {
    std::string_view json;
    core::code code;
    std::string_view field;
    std::string_view detail;
};

} // namespace

TEST_CASE("what a template does not allow is refused with the field and a reason") {
    bench bind;
    using core::code;
    const refusal refusals[] = {
        {R"("template":"orders","op":"fetch")", code::invalid_envelope, "key", "missing"},
        {R"("template":"orders","op":"fetch","key":"x")", code::invalid_field, "id", "must be"},
        {R"("template":"orders","op":"fetch","key":null)", code::invalid_field, "id", "value of"},
        {R"("template":"orders","op":"fetch","key":{"id":1})", code::invalid_field, "id", "value"},
        {R"("template":"orders","op":"fetch","key":true)", code::invalid_field, "id", "must be"},
        {R"("template":"orders","op":"fetch","key":1.5)", code::invalid_field, "id", "must be"},
        {R"("template":"orders","op":"fetch","key":9223372036854775808)", code::invalid_field, "id",
         ""},
        {R"("template":"orders","op":"fetch","key":1,"fields":["ownr"])", code::invalid_field,
         "ownr", "did you mean 'owner'"},
        {R"("template":"orders","op":"fetch","key":1,"fields":[])", code::invalid_field, "fields",
         ""},
        {R"("template":"orders","op":"fetch","key":1,"fields":["id","id"])", code::invalid_field,
         "id", "twice"},
        {R"("template":"lines","op":"fetch","key":1)", code::invalid_field, "key",
         "several fields"},
        {R"("template":"lines","op":"fetch","key":{"order":1})", code::invalid_field, "position",
         "needs a value"},
        {R"("template":"lines","op":"fetch","key":{"order":1,"position":1,"text":"x"})",
         code::invalid_field, "text", "not part of the key"},
        {R"("template":"orders","op":"find","where":{"state":"open"})", code::invalid_field,
         "state", "not indexed"},
        {R"("template":"orders","op":"find","where":{"owner":null})", code::invalid_field, "owner",
         "null"},
        {R"("template":"orders","op":"find","where":{"owner":{}})", code::invalid_field, "owner",
         ""},
        {R"("template":"orders","op":"find","where":{"owner":{"like":"x"}})", code::invalid_field,
         "owner", "no operator 'like'"},
        {R"("template":"orders","op":"find","where":{"owner":{"$ne":"x"}})", code::invalid_field,
         "owner", "no operator"},
        {R"("template":"orders","op":"find","where":{"$where":"1"})", code::invalid_field, "$where",
         "no field"},
        {R"("template":"orders","op":"find","where":{"owner":{"in":[]}})", code::invalid_field,
         "owner", ""},
        {R"("template":"orders","op":"find","where":{"owner":{"in":["a","b","c","d"]}})",
         code::limit_exceeded, "owner", "at most 3"},
        {R"("template":"orders","op":"find","where":{"amount":{"prefix":"1"}})",
         code::invalid_field, "amount", "for strings"},
        {R"("template":"orders","op":"find","sort":["weight"])", code::invalid_field, "weight",
         "not indexed"},
        {R"("template":"orders","op":"find","sort":["owner","-owner"])", code::invalid_field,
         "owner", "twice"},
        {R"("template":"orders","op":"find","limit":0)", code::invalid_field, "limit", "above 0"},
        {R"("template":"orders","op":"find","limit":51)", code::limit_exceeded, "limit",
         "at most 50"},
        {R"("template":"orders","op":"find","after":"AAAA")", code::invalid_field, "after",
         "cursor"},
        {R"("template":"orders","op":"insert","data":{"id":1})", code::invalid_field, "owner",
         "required"},
        {R"("template":"orders","op":"insert","data":[])", code::invalid_field, "data", "no row"},
        {R"("template":"orders","op":"insert","data":{"id":1,"owner":"a","secret":"x"})",
         code::invalid_field, "secret", "protected"},
        {R"("template":"orders","op":"insert","data":{"id":1,"owner":null})", code::invalid_field,
         "owner", "null"},
        {R"("template":"orders","op":"insert","data":{"id":1,"owner":"abcdefghijk"})",
         code::invalid_field, "owner", "must be"},
        {R"("template":"orders","op":"insert","data":{"id":1,"owner":"a","state":"opn"})",
         code::invalid_field, "state", "must be"},
        {R"("template":"orders","op":"insert","data":{"id":1,"owner":"a","amount":"1.234"})",
         code::invalid_field, "amount", "must be"},
        {R"("template":"orders","op":"insert","data":{"id":1,"owner":"a"},"on_conflict":"nothing")",
         code::invalid_field, "on_conflict", "must be an object"},
        {R"("template":"orders","op":"insert","data":{"id":1,"owner":"a"},"on_conflict":{"do":"replace"})",
         code::invalid_field, "on_conflict", "'do' of"},
        {R"("template":"orders","op":"insert","data":{"id":1,"owner":"a"},"on_conflict":{"do":"update"})",
         code::invalid_field, "on_conflict", "'set' of"},
        {R"("template":"orders","op":"insert","data":{"id":1,"owner":"a"},"on_conflict":{"do":"nothing","set":["owner"]})",
         code::invalid_field, "on_conflict", "'set' of"},
        {R"("template":"orders","op":"insert","data":{"id":1,"owner":"a"},"on_conflict":{"do":"nothing","else":1})",
         code::invalid_field, "on_conflict", "only"},
        {R"("template":"orders","op":"insert","data":{"id":1,"owner":"a"},"on_conflict":{"do":"update","set":["id"]})",
         code::invalid_field, "id", "part of the key"},
        {R"("template":"orders","op":"insert","data":{"id":1,"owner":"a"},"on_conflict":{"do":"update","set":["secret"]})",
         code::invalid_field, "secret", "protected"},
        {R"("template":"orders","op":"insert","data":{"id":1,"owner":"a"},"on_conflict":{"do":"nothing","unique":["owner"]})",
         code::invalid_field, "on_conflict", "the fields of a unique index"},
        {R"("template":"orders","op":"insert","data":{"id":1,"owner":"a"},"return":["id","id"])",
         code::invalid_field, "id", "twice"},
        {R"("template":"orders","op":"update","key":1,"set":{"owner":"a"},"return":[])",
         code::invalid_field, "return", "'return' must be an array"},
        {R"("template":"orders","op":"delete","key":1,"return":["owners"])", code::invalid_field,
         "owners", ""},
        {R"("template":"orders","op":"delete","key":1,"return":"owner")", code::invalid_field,
         "return", "'return' must be an array"},
        {R"("template":"orders","op":"update","key":1,"set":{"id":2})", code::invalid_field, "id",
         "part of the key"},
        {R"("template":"orders","op":"update","key":1,"set":{"secret":"x"})", code::invalid_field,
         "secret", "protected"},
        {R"("template":"orders","op":"update","key":1)", code::invalid_envelope, "set", "missing"},
        {R"("template":"orders","op":"update","key":1,"where":{"owner":"a"},"set":{"owner":"b"})",
         code::invalid_envelope, "key", "either"},
        {R"("template":"orders","op":"update","where":{},"set":{"owner":"b"})", code::invalid_field,
         "where", "every row"},
        {R"("template":"orders","op":"delete","where":{})", code::invalid_field, "where",
         "every row"},
        {R"("template":"orders","op":"update","key":1,"inc":{"owner":1})", code::invalid_field,
         "owner", "not a number"},
        {R"("template":"orders","op":"update","key":1,"inc":{"id":1})", code::invalid_field, "id",
         "part of the key"},
        {R"("template":"orders","op":"update","key":1,"inc":{"secret":1})", code::invalid_field,
         "secret", "protected"},
        {R"("template":"orders","op":"update","key":1,"set":{"amount":"1"},"inc":{"amount":"1"})",
         code::invalid_field, "amount", "'set' and in 'inc'"},
        {R"("template":"orders","op":"call","name":"close","args":{"order":1})",
         code::invalid_field, "why", "missing"},
        {R"("template":"orders","op":"call","name":"close","args":{"ordr":1,"why":"x"})",
         code::invalid_field, "ordr", "did you mean 'order'"},
        {R"("template":"orders","op":"call","name":"close","args":{"order":"x","why":"x"})",
         code::invalid_field, "order", "must be"},
    };
    for (const auto& one : refusals) {
        INFO(one.json);
        const auto failure = bind(one.json);
        REQUIRE(failure);
        INFO(failure->detail);
        CHECK(failure->code == one.code);
        CHECK(failure->field == one.field);
        CHECK(failure->detail.find(one.detail) != std::string_view::npos);
        CHECK(failure->effect == core::effect::none);
    }
}

TEST_CASE("only indexed fields stand in where, whatever is asked") {
    bench bind;
    for (const auto* op : {R"("op":"find")", R"("op":"count")", R"("op":"exists")",
                           R"("op":"update","set":{"owner":"b"})", R"("op":"delete")"}) {
        INFO(op);
        const auto asked = std::string{R"("template":"orders",)"} + op + R"(,"where":)";
        const auto failure = bind(asked + R"({"weight":1})");
        REQUIRE(failure);
        CHECK(failure->code == core::code::invalid_field);
        CHECK(failure->field == "weight");
        CHECK_FALSE(bind(asked + R"({"owner":"a"})"));
    }
}

TEST_CASE("on_conflict goes past no procedure of the DBA") {
    const auto asked = [](const char* what, std::string templates::write_procedures::*which) {
        bench bind{[which](templates::template_def& target) { target.write.*which = "sp"; }};
        const auto failure =
            bind(std::string{R"("template":"orders","op":"insert","data":{"id":1,"owner":"a"},)"} +
                 R"("on_conflict":)" + what);
        return failure
                   ? std::string{core::to_string(failure->code)} + ' ' + std::string{failure->field}
                   : "taken";
    };
    constexpr auto* updates = R"({"do":"update","set":["owner"]})";
    constexpr auto* leaves = R"({"do":"nothing"})";
    CHECK(asked(leaves, &templates::write_procedures::insert) == "UNSUPPORTED on_conflict");
    CHECK(asked(updates, &templates::write_procedures::update) == "UNSUPPORTED on_conflict");
    CHECK(asked(leaves, &templates::write_procedures::update) == "taken");
    CHECK(asked(updates, &templates::write_procedures::remove) == "taken");
}

TEST_CASE("an insert gets defaults and generated values, rows of one operation the same fields") {
    bench bind;
    REQUIRE_FALSE(bind(
        R"("template":"orders","op":"insert","data":[{"id":1,"owner":"a"},{"id":2,"owner":"b","weight":1.5}])"));
    const auto& rows = bind.bound.rows;
    REQUIRE(rows.size() == 2);
    REQUIRE(rows[0].size() == rows[1].size());
    for (std::size_t i = 0; i < rows[0].size(); ++i) {
        CHECK(rows[0][i].field == rows[1][i].field);
    }
    const auto value_of = [&](std::size_t row, std::string_view name) {
        const auto id = *bind.bound.target->find_field(name);
        for (const auto& cell : rows[row]) {
            if (cell.field == id) {
                return cell.value;
            }
        }
        FAIL("field is not inserted: " << name);
        return core::value{};
    };
    CHECK(value_of(0, "state").text == "open");
    CHECK(value_of(0, "amount").text == "0.00");
    CHECK(value_of(0, "weight").is_null());
    CHECK(value_of(1, "weight").real == 1.5);
    CHECK(value_of(0, "created").integer == 0);
    CHECK(value_of(0, "token").text.size() == 36);
    CHECK(value_of(0, "token").text != value_of(1, "token").text);
}

TEST_CASE("sort always ends in the key; one projection has one layout") {
    bench bind;
    REQUIRE_FALSE(bind(R"("template":"orders","op":"find","sort":["-owner"],"fields":["owner"])"));
    REQUIRE(bind.bound.sort.size() == 2);
    CHECK(bind.bound.sort[0].direction == adapters::direction::descending);
    CHECK(bind.bound.sort[1].field == *bind.bound.target->find_field("id"));
    CHECK(bind.bound.limit == 50);
    const auto* layout = bind.bound.layout;
    REQUIRE_FALSE(bind(R"("template":"orders","op":"fetch","key":7,"fields":["owner"])"));
    CHECK(bind.bound.layout == layout);
    CHECK(bind.bound.layout->size() == 1);
    CHECK(bind.bound.key[0].integer == 7);
}

TEST_CASE("what one operation may hold is bounded") {
    bench bind;
    using core::code;
    const auto rows = [](int count) {
        std::string text = R"("template":"orders","op":"insert","data":[)";
        for (int id = 1; id <= count; ++id) {
            text += (id == 1 ? "" : ",") + (R"({"owner":"a","id":)" + std::to_string(id) + '}');
        }
        return text + ']';
    };
    CHECK_FALSE(bind(rows(50)));
    const auto too_many = bind(rows(51));
    REQUIRE(too_many);
    CHECK(too_many->code == code::limit_exceeded);
    CHECK(too_many->field == "data");
    CHECK(too_many->detail.find("at most 50") != std::string_view::npos);

    // So many operators are not known; each of them counts.
    const auto conditions = [](int count) {
        std::string text = R"("template":"orders","op":"find","where":{"owner":{)";
        for (int i = 1; i <= count; ++i) {
            text += (i == 1 ? "" : ",") + ("\"no" + std::to_string(i) + "\":1");
        }
        return text + "}}";
    };
    const auto most = bind(conditions(64));
    REQUIRE(most);
    CHECK(most->code == code::invalid_field);
    const auto more = bind(conditions(65));
    REQUIRE(more);
    CHECK(more->code == code::limit_exceeded);
    CHECK(more->field == "where");
}

TEST_CASE("a cursor goes on with the template, filter and sort that it was made for alone") {
    bench bind;
    const std::string made_for =
        R"("template":"lines","op":"find","where":{"order":7},"sort":["-position"])";
    REQUIRE_FALSE(bind(made_for));
    const core::value position[]{core::value::of_number(core::value::kind::integer, 3),
                                 core::value::of_number(core::value::kind::integer, 7)};
    wire::cursor_codec sealer{nullptr, bind.clock};
    std::string cursor;
    sealer.append(cursor, bind.bound.cursor_tag, position);
    const auto after = [&](const std::string& json) {
        return bind(json + R"(,"after":")" + cursor + '"');
    };
    CHECK_FALSE(after(made_for));
    REQUIRE(bind.bound.after.size() == 2);
    CHECK(bind.bound.after[0].integer == 3);
    CHECK_FALSE(after(made_for + R"(,"fields":["text"],"limit":1)"));
    for (const auto* other : {
             R"("template":"lines","op":"find","where":{"order":8},"sort":["-position"])",
             R"("template":"lines","op":"find","sort":["-position"])",
             R"("template":"lines","op":"find","where":{"order":7},"sort":["position"])",
             R"("template":"lines","op":"find","where":{"order":7})",
             R"("template":"twins","op":"find","where":{"order":7},"sort":["-position"])",
         }) {
        INFO(other);
        const auto failure = after(other);
        REQUIRE(failure);
        CHECK(failure->code == core::code::invalid_field);
        CHECK(failure->field == "after");
    }
    // The right tag, and a position of other kinds or of another length.
    REQUIRE_FALSE(bind(made_for));
    const auto tag = bind.bound.cursor_tag;
    const core::value text[]{position[0], core::value::of_text(core::value::kind::string, "7")};
    for (const std::span<const core::value> wrong :
         {std::span<const core::value>{text}, std::span{position}.first(1)}) {
        cursor.clear();
        sealer.append(cursor, tag, wrong);
        CHECK(after(made_for));
    }
}

TEST_CASE("a cursor is of one version of its template") {
    bench old;
    bench changed{[](templates::template_def& target) { ++target.version; }};
    const std::string find = R"("template":"lines","op":"find","sort":["-position"])";
    REQUIRE_FALSE(old(find));
    const auto tag = old.bound.cursor_tag;
    REQUIRE_FALSE(old(find));
    CHECK(old.bound.cursor_tag == tag);
    REQUIRE_FALSE(changed(find));
    CHECK(changed.bound.cursor_tag != tag);
}

TEST_CASE("a cursor that expired says so, one that was not made for this does not") {
    bench bind;
    const std::string find = R"("template":"lines","op":"find","where":{"order":7})";
    REQUIRE_FALSE(bind(find));
    const core::value position[]{core::value::of_int(7), core::value::of_int(3)};
    wire::cursor_codec sealer{nullptr, bind.clock};
    std::string cursor;
    sealer.append(cursor, bind.bound.cursor_tag, position);
    const auto after = R"(,"after":")" + cursor + '"';
    bind.clock.now += wire::cursor_keys::default_lifetime - std::chrono::seconds{1};
    CHECK_FALSE(bind(find + after));
    bind.clock.now += std::chrono::seconds{1};
    const auto late = bind(find + after);
    REQUIRE(late);
    CHECK(late->code == core::code::invalid_field);
    CHECK(late->field == "after");
    CHECK(late->detail.find("has expired") != std::string_view::npos);
    const auto other = bind(R"("template":"lines","op":"find")" + after);
    REQUIRE(other);
    CHECK(other->detail.find("not a cursor of this") != std::string_view::npos);
}
