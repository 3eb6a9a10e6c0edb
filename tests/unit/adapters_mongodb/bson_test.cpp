#include "adapters/mongodb/bson_reader.hpp"
#include "bson_text.hpp"
#include "support/catch.hpp"

#include <beds/core/json.hpp>
#include <beds/testing/make.hpp>

#include <string>

using namespace beds;
using namespace beds::adapters::mongodb;

namespace {

/// JSON text in, what is stored out.
std::string stored(std::string_view json) {
    core::arena memory;
    core::datum tree;
    if (core::parse_json(json, memory, tree)) {
        return "not JSON";
    }
    bson_writer to;
    if (auto problem = append(to, "v", tree)) {
        return std::string{*problem};
    }
    return test::text_of(to);
}

/// … and back.
std::string there_and_back(std::string_view json) {
    core::arena memory;
    core::datum tree;
    REQUIRE_FALSE(core::parse_json(json, memory, tree));
    bson_writer to;
    REQUIRE_FALSE(append(to, "v", tree));
    const auto bytes = to.finish();
    bson_t view;
    REQUIRE(view_bson(view, bytes.data(), bytes.size()));
    bson_iter_t found;
    REQUIRE(bson_iter_init_find(&found, &view, "v"));
    std::string out;
    REQUIRE(append_json(out, found));
    return out;
}

/// A BSON document from Extended JSON, its member `v` read as a type.
std::string read_as(const char* extended, std::string_view type) {
    bson_error_t error{};
    bson_t* const made =
        bson_new_from_json(reinterpret_cast<const std::uint8_t*>(extended), -1, &error);
    REQUIRE(made != nullptr);
    bson_iter_t found;
    REQUIRE(bson_iter_init_find(&found, made, "v"));
    core::arena memory;
    core::value value;
    const bool fits = read_value(found, *core::parse_field_type(type), memory, value);
    const auto text = fits ? to_string(testing::owned_value{value}) : std::string{"misfit"};
    bson_destroy(made);
    return text;
}

std::string written(const core::value& value, std::string_view type,
                    templates::stored_form form = templates::stored_form::usual) {
    core::arena memory;
    bson_writer to;
    if (auto problem = append(to, "v", value, *core::parse_field_type(type), form, memory)) {
        return std::string{*problem};
    }
    return test::text_of(to);
}

} // namespace

TEST_CASE("bson: JSON is never read as Extended JSON") {
    CHECK(stored(R"({"$oid":"507f1f77bcf86cd799439011"})") ==
          R"({ "v" : { "$oid" : "507f1f77bcf86cd799439011" } })");
    // Canonical Extended JSON cannot tell those apart, the bytes can: 3 is a document, 7 an
    // ObjectId.
    core::arena memory;
    for (const char* wrapper :
         {R"({"$oid":"507f1f77bcf86cd799439011"})", R"({"$code":"x"})", R"({"$minKey":1})",
          R"({"$date":"2026-01-01T00:00:00Z"})", R"({"$numberDecimal":"1"})",
          R"({"$binary":{"base64":"","subType":"00"}})", R"({"$regularExpression":{}})"}) {
        core::datum tree;
        REQUIRE_FALSE(core::parse_json(wrapper, memory, tree));
        bson_writer to;
        REQUIRE_FALSE(append(to, "v", tree));
        const auto bytes = to.finish();
        CHECK(bytes[4] == 3);
        CHECK(there_and_back(wrapper) == wrapper);
    }
}

TEST_CASE("bson: numbers of documents are exact") {
    CHECK(stored("9007199254740993") == R"({ "v" : { "$numberLong" : "9007199254740993" } })");
    CHECK(stored("18446744073709551615") ==
          R"({ "v" : { "$numberDecimal" : "18446744073709551615" } })");
    CHECK(stored("0.1").find("numberDouble") != std::string::npos);
    CHECK(stored("0.10").find("numberDouble") != std::string::npos);
    CHECK(stored("1e400") == R"({ "v" : { "$numberDecimal" : "1E+400" } })");
    CHECK(stored("0.12345678901234567890") ==
          R"({ "v" : { "$numberDecimal" : "0.12345678901234567890" } })");
    CHECK(stored("0.123456789012345678901234567890123456789") ==
          "a number that cannot be kept exactly");
    for (const char* same :
         {"0", "-1", "9223372036854775807", "-9223372036854775808", "18446744073709551615", "0.1",
          "1e400", "0.12345678901234567890", "5e-324", "1.7976931348623157e+308", "[]", "{}",
          R"({"a":[1,{"b":null}],"c":true})", R"(["ü \u0001 \"\\"])", R"({"":1,"a.b":2,"$x":3})"}) {
        CHECK(there_and_back(same) == same);
    }
}

TEST_CASE("bson: member names with NUL are refused") {
    core::arena memory;
    core::datum tree;
    REQUIRE_FALSE(core::parse_json(R"({"a\u0000b":1})", memory, tree));
    bson_writer to;
    CHECK(append(to, "v", tree) == "a member's name contains a NUL");
}

TEST_CASE("bson: each type has one stored form") {
    using core::value;
    CHECK(written(value::of_int(-5), "int8") == R"({ "v" : { "$numberInt" : "-5" } })");
    CHECK(written(value::of_int(5), "int64") == R"({ "v" : { "$numberLong" : "5" } })");
    CHECK(written(value::of_uint(65535), "uint16") == R"({ "v" : { "$numberInt" : "65535" } })");
    CHECK(written(value::of_uint(4294967295), "uint32") ==
          R"({ "v" : { "$numberLong" : "4294967295" } })");
    CHECK(written(value::of_uint(18446744073709551615U), "uint64") ==
          R"({ "v" : { "$numberDecimal" : "18446744073709551615" } })");
    CHECK(written(value::of_text(value::kind::decimal, "1.50"), "decimal(10,2)") ==
          R"({ "v" : { "$numberDecimal" : "1.50" } })");
    CHECK(
        written(value::of_text(value::kind::uuid, "00112233-4455-6677-8899-aabbccddeeff"),
                "uuid") ==
        R"({ "v" : { "$binary" : { "base64" : "ABEiM0RVZneImaq7zN3u/w==", "subType" : "04" } } })");
    CHECK(written(value::of_text(value::kind::bytes, "ab"), "bytes") ==
          R"({ "v" : { "$binary" : { "base64" : "YWI=", "subType" : "00" } } })");
    CHECK(written(value::of_number(value::kind::date, 0), "date") == R"({ "v" : "1970-01-01" })");
    CHECK(written(value::of_number(value::kind::time, 1), "time") ==
          R"({ "v" : "00:00:00.000001" })");
    CHECK(written(value::of_number(value::kind::datetime, -1), "datetime") ==
          R"({ "v" : { "$numberLong" : "-1" } })");
    CHECK(written(value::of_number(value::kind::datetime, -1000), "datetime",
                  templates::stored_form::date) ==
          R"({ "v" : { "$date" : { "$numberLong" : "-1" } } })");
    CHECK(written(value::of_number(value::kind::datetime, -1), "datetime",
                  templates::stored_form::date) == "a time with a part below the millisecond");
    CHECK(written(value::of_null(), "int64") == R"({ "v" : null })");
    CHECK(written(value::of_null(), "string", templates::stored_form::object_id) ==
          R"({ "v" : null })");
    const auto id = [](std::string_view text) {
        return written(value::of_text(value::kind::string, text), "string",
                       templates::stored_form::object_id);
    };
    CHECK(id("507f1f77bcf86cd799439011") == R"({ "v" : { "$oid" : "507f1f77bcf86cd799439011" } })");
    for (const auto* wrong :
         {"", "507f1f77bcf86cd79943901", "507f1f77bcf86cd7994390110", "507F1F77BCF86CD799439011",
          "507f1f77bcf86cd79943901g", "                        "}) {
        CHECK(id(wrong) == "not an ObjectId: 24 hexadecimal digits in lower case");
    }
}

TEST_CASE("bson: in which form a field is stored") {
    auto target = testing::template_maker{"t"}
                      .connection("rec", templates::engine::rec)
                      .field("id", "int64", {.column = "_id"})
                      .field("usual", "datetime")
                      .field("dated", "datetime")
                      .field("ref", "string")
                      .key({"id"})
                      .build();
    const auto usual = *target.find_field("usual");
    const auto dated = *target.find_field("dated");
    target.fields[dated].stored = templates::stored_form::date;
    target.fields[*target.find_field("ref")].stored = templates::stored_form::object_id;
    const auto stored_in = [&](templates::field_id field, const core::value& value) {
        core::arena memory;
        bson_writer to;
        REQUIRE_FALSE(append_field(to, "v", value, target, field, memory));
        return test::text_of(to);
    };
    const auto at = core::value::of_number(core::value::kind::datetime, 7'000);
    CHECK(stored_in(usual, at) == R"({ "v" : { "$numberLong" : "7000" } })");
    CHECK(stored_in(dated, at) == R"({ "v" : { "$date" : { "$numberLong" : "7" } } })");
    CHECK(stored_in(*target.find_field("ref"),
                    core::value::of_text(core::value::kind::string, "507f1f77bcf86cd799439011")) ==
          R"({ "v" : { "$oid" : "507f1f77bcf86cd799439011" } })");
    CHECK(stored_in(*target.find_field("id"), core::value::of_int(1)) ==
          R"({ "v" : { "$numberLong" : "1" } })");
}

TEST_CASE("bson: what others store is read when it fits, and only then") {
    CHECK(read_as(R"({"v":{"$numberDouble":"5"}})", "int8") == "5");
    CHECK(read_as(R"({"v":{"$numberDouble":"5.5"}})", "int8") == "misfit");
    CHECK(read_as(R"({"v":{"$numberInt":"200"}})", "int8") == "misfit");
    CHECK(read_as(R"({"v":{"$numberInt":"-1"}})", "uint8") == "misfit");
    CHECK(read_as(R"({"v":{"$numberDouble":"1e300"}})", "int64") == "misfit");
    CHECK(read_as(R"({"v":"5"})", "int64") == "misfit");
    CHECK(read_as(R"({"v":true})", "int64") == "misfit");
    CHECK(read_as(R"({"v":1})", "bool") == "misfit");
    CHECK(read_as(R"({"v":{"$numberDecimal":"1.5"}})", "decimal(4,2)") == "decimal 1.50");
    CHECK(read_as(R"({"v":{"$numberDouble":"0.1"}})", "decimal(4,2)") == "decimal 0.10");
    CHECK(read_as(R"({"v":{"$numberDecimal":"1.555"}})", "decimal(4,2)") == "misfit");
    CHECK(read_as(R"({"v":{"$numberDecimal":"NaN"}})", "decimal(4,2)") == "misfit");
    CHECK(read_as(R"({"v":{"$numberDouble":"NaN"}})", "double") == "misfit");
    CHECK(read_as(R"({"v":{"$numberLong":"9007199254740993"}})", "double") == "misfit");
    CHECK(read_as(R"({"v":"00112233-4455-6677-8899-AABBCCDDEEFF"})", "uuid") ==
          "uuid 00112233-4455-6677-8899-aabbccddeeff");
    CHECK(read_as(R"({"v":"nonsense"})", "uuid") == "misfit");
    CHECK(read_as(R"({"v":{"$oid":"507f1f77bcf86cd799439011"}})", "string") ==
          "\"507f1f77bcf86cd799439011\"");
    CHECK(read_as(R"({"v":{"$date":{"$numberLong":"86400000"}}})", "date") == "1970-01-02");
    CHECK(read_as(R"({"v":{"$date":{"$numberLong":"1"}}})", "date") == "misfit");
    CHECK(read_as(R"({"v":{"$date":{"$numberLong":"1"}}})", "datetime") ==
          "1970-01-01T00:00:00.001Z");
    CHECK(read_as(R"({"v":{"$date":{"$numberLong":"9223372036854775807"}}})", "datetime") ==
          "misfit");
    CHECK(read_as(R"({"v":null})", "uuid") == "null");
    CHECK(read_as(R"({"v":{"$regularExpression":{"pattern":"x","options":""}}})", "string") ==
          "misfit");
}

TEST_CASE("bson: documents are shown without what is the adapter's own") {
    CHECK(read_as(R"({"v":{"a":1,"_beds":{"x":1},"b":[{"_beds":1}]}})", "document") ==
          "json {\"a\":1,\"b\":[{}]}");
}
