#include "adapters/mongodb/errors.hpp"
#include "adapters/mongodb/filters.hpp"
#include "bson_text.hpp"
#include "support/catch.hpp"

#include <beds/core/json.hpp>
#include <beds/testing/make.hpp>

#include <string>

using namespace beds;
using namespace beds::adapters::mongodb;
using adapters::comparison;
using testing::operations;
using testing::template_maker;

namespace {

const auto target = template_maker{"things"}
                        .connection("rec", templates::engine::rec)
                        .field("id", "int64", {.column = "_id"})
                        .field("name", "string", {.indexed = true, .column = "n"})
                        .field("rank", "int32", {.indexed = true, .column = "r"})
                        .field("free", "document", {.column = "d"})
                        .key({"id"})
                        .build();

std::string where_of(const testing::operation_maker& op) {
    bson_writer to;
    core::arena memory;
    if (auto problem = append_where(to, op.bound(), memory)) {
        return std::string{*problem};
    }
    return test::text_of(to);
}

} // namespace

TEST_CASE("filters: a value stays a value") {
    for (const char* text : {"$ne", "{\"$gt\":\"\"}", "$where", "sleep(5000)||true",
                             "\xef\xbc\x84ne", "__proto__", "a.b", ""}) {
        operations ops;
        auto op = ops.find(target).where("name", text);
        std::string quoted;
        core::append_json_string(quoted, text);
        CHECK(where_of(op) == R"({ "n" : )" + quoted + " }");
    }
    operations ops;
    auto op = ops.update(target, {1});
    op.expect({{"free", R"({"$ne":{"$where":"x"}})"}});
    CHECK(where_of(op) == R"({ "d" : { "$eq" : { "$ne" : { "$where" : "x" } } } })");
}

TEST_CASE("filters: operators") {
    operations ops;
    const auto of = [&](comparison how, std::vector<testing::literal> values) {
        return where_of(ops.find(target).where("rank", how, std::move(values)));
    };
    const auto one = [](const std::string& inner) { return R"({ "r" : { )" + inner + " } }"; };
    const std::string five = R"({ "$numberInt" : "5" })";
    CHECK(of(comparison::lt, {5}) == one(R"("$lt" : )" + five));
    CHECK(of(comparison::le, {5}) == one(R"("$lte" : )" + five));
    CHECK(of(comparison::gt, {5}) == one(R"("$gt" : )" + five));
    CHECK(of(comparison::ge, {5}) == one(R"("$gte" : )" + five));
    CHECK(of(comparison::ne, {5}) == one(R"("$nin" : [ )" + five + ", null ]"));
    CHECK(of(comparison::in, {5, 5}) == one(R"("$in" : [ )" + five + ", " + five + " ]"));
    CHECK(of(comparison::is_null, {}) == one(R"("$eq" : null)"));
    CHECK(of(comparison::is_not_null, {}) == one(R"("$ne" : null)"));
    CHECK(where_of(ops.find(target)) == "{ }");
    CHECK(of(comparison::eq, {5}) == R"({ "r" : )" + five + " }");
    // A field twice.
    CHECK(where_of(ops.find(target)
                       .where("rank", comparison::ge, {5})
                       .where("name", "x")
                       .where("rank", comparison::lt, {5})) ==
          R"({ "r" : { "$gte" : )" + five + R"( }, "n" : "x", "$and" : [ { "r" : { "$lt" : )" +
              five + " } } ] }");
}

TEST_CASE("filters: a prefix has no meaning as a pattern") {
    using namespace std::string_view_literals;
    CHECK(prefix_pattern("abc") == "^abc");
    CHECK(prefix_pattern("a.b*(c)") == R"(^a\.b\*\(c\))");
    CHECK(prefix_pattern(R"(\E$^|)") == R"(^\\E\$\^\|)");
    CHECK(prefix_pattern("a\0b\n"sv) == R"(^a\x00b\n)");
    CHECK(prefix_pattern("é") == "^é");
    operations ops;
    CHECK(where_of(ops.find(target).where("name", comparison::prefix, {std::string(9000, 'x')})) ==
          "a prefix of more than 8000 bytes");
}

TEST_CASE("filters: the next page, nulls first") {
    const auto after = [](std::vector<std::string> sort, std::vector<core::value> position) {
        operations ops;
        testing::recorded_cursor cursor;
        for (const auto& value : position) {
            cursor.position.emplace_back(value);
        }
        return where_of(ops.find(target).sort(std::move(sort)).after(cursor));
    };
    using core::value;
    const auto id = value::of_int(7);
    CHECK(after({"rank"}, {value::of_int(5), id}) ==
          R"({ "$or" : [ { "r" : { "$gt" : { "$numberInt" : "5" } } }, )"
          R"({ "r" : { "$numberInt" : "5" }, "_id" : { "$gt" : { "$numberLong" : "7" } } } ] })");
    CHECK(after({"rank"}, {value::of_null(), id}) ==
          R"({ "$or" : [ { "r" : { "$ne" : null } }, )"
          R"({ "r" : null, "_id" : { "$gt" : { "$numberLong" : "7" } } } ] })");
    CHECK(after({"-rank"}, {value::of_int(5), id}) ==
          R"({ "$or" : [ { "r" : { "$lt" : { "$numberInt" : "5" } } }, )"
          R"({ "r" : { "$eq" : null } }, )"
          R"({ "r" : { "$numberInt" : "5" }, "_id" : { "$gt" : { "$numberLong" : "7" } } } ] })");
    CHECK(after({"-rank"}, {value::of_null(), id}) ==
          R"({ "$or" : [ )"
          R"({ "r" : null, "_id" : { "$gt" : { "$numberLong" : "7" } } } ] })");
}

TEST_CASE("errors: what the server says, in the closed set of codes") {
    using core::code;
    CHECK(meaning_of(11000).code == code::duplicate_key);
    CHECK(meaning_of(13).code == code::backend_permission_denied);
    CHECK(meaning_of(18).code == code::backend_permission_denied);
    CHECK(meaning_of(8000).code == code::backend_permission_denied);
    CHECK(meaning_of(121).code == code::constraint);
    CHECK(meaning_of(50).code == code::deadline_exceeded);
    CHECK(meaning_of(112).code == code::backend_conflict);
    CHECK(meaning_of(14031).code == code::backend_storage_full);
    CHECK(meaning_of(10107).code == code::backend_unavailable);
    CHECK(meaning_of(123456).code == code::internal);
    CHECK(index_of_duplicate("E11000 duplicate key error collection: a.b index: em_1 dup key: "
                             "{ em: \"index: x dup key\" }") == "em_1");
    CHECK(index_of_duplicate("something else").empty());
}

TEST_CASE("errors: the field that broke a rule") {
    const auto column = [](const char* extended) {
        bson_error_t error{};
        bson_t* const made =
            bson_new_from_json(reinterpret_cast<const std::uint8_t*>(extended), -1, &error);
        REQUIRE(made != nullptr);
        server_error given;
        given.has_document = true;
        REQUIRE(bson_iter_init_find(&given.document, made, "e"));
        const auto found = column_at_fault(given).value_or("none");
        bson_destroy(made);
        return found;
    };
    CHECK(column(R"({"e":{"code":11000,"keyPattern":{"em":1},"keyValue":{"em":"secret"}}})") ==
          "em");
    CHECK(column(R"({"e":{"code":121,"errInfo":{"failingDocumentId":1,"details":{
        "operatorName":"$jsonSchema","schemaRulesNotSatisfied":[{"operatorName":"properties",
        "propertiesNotSatisfied":[{"propertyName":"age","details":[]}]}]}}}})") == "age");
    CHECK(column(R"({"e":{"code":121,"errInfo":{"details":{"schemaRulesNotSatisfied":[
        {"operatorName":"required","missingProperties":["name"]}]}}}})") == "name");
    CHECK(column(R"({"e":{"code":2}})") == "none");
}
