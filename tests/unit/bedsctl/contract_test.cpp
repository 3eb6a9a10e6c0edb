#include "contract.hpp"
#include "support/catch.hpp"
#include "support/folder.hpp"

#include <beds/core/arena.hpp>
#include <beds/core/json.hpp>
#include <beds/core/value.hpp>

#include <boost/json.hpp>

#include <cstdlib>
#include <stdexcept>

using namespace bedsctl;
namespace json = boost::json;

namespace {

constexpr std::string_view catalog =
    R"json({"v":1,"event":"x","status":"ok","effect":"none","templates":[
{"name":"accounts","version":1,"group":"g","key":["id"],"fields":[
 {"name":"id","type":"int64","key":true,"indexed":true,"protected":true,"generated":true},
 {"name":"owner","type":"string","max":5,"required":true,"indexed":true},
 {"name":"status","type":"enum","values":["open","closed"]},
 {"name":"balance","type":"decimal(18,2)","nullable":true},
 {"name":"tiny","type":"uint8","nullable":true}],
 "operations":[{"op":"fetch","class":"read"},{"op":"find","class":"read"},{"op":"count","class":"read"},
 {"op":"exists","class":"read"},
 {"op":"insert","class":"write","on_conflict":{"unique":[["id"],["owner","status"]],"set":["status","tiny"]}},
 {"op":"update","class":"write"},{"op":"delete","class":"write"},
 {"op":"call","class":"write","guarantee":"at_least_once","name":"transfer",
  "args":[{"name":"to","type":"int64"},{"name":"amount","type":"decimal(18,2)"}]}],
 "limits":{"max_rows":1000,"max_in":500}},
{"name":"places","version":1,"group":"g","key":["land","town"],"fields":[
 {"name":"land","type":"string","key":true,"indexed":true},
 {"name":"town","type":"string","key":true,"indexed":true}],
 "operations":[{"op":"fetch","class":"read"}],"limits":{"max_rows":10,"max_in":5}},
{"name":"towns","version":1,"group":"g","key":["town"],"fields":[
 {"name":"town","type":"string","key":true,"indexed":true}],
 "operations":[{"op":"insert","class":"write","on_conflict":{"unique":[["town"]]}}],
 "limits":{"max_rows":10,"max_in":5}}]})json";

/// Judges texts by a schema with a program that nobody here wrote; one letter for each: y or n.
std::string judged(const std::string& schema, const std::vector<std::string>& requests) {
    const beds::test::folder files;
    files.write("schema.json", schema);
    std::string lines;
    for (const auto& each : requests) {
        lines += each + '\n';
    }
    files.write("requests", lines);
    files.write("judge.py", R"(
import json, jsonschema, sys
schema = json.load(open(sys.argv[1]))
jsonschema.Draft202012Validator.check_schema(schema)
judge = jsonschema.Draft202012Validator(schema)
open(sys.argv[3], "w").write("".join("y" if judge.is_valid(json.loads(line)) else "n" for line in open(sys.argv[2])))
)");
    const auto command = "/usr/bin/python3 '" + files.path("judge.py").string() + "' '" +
                         files.path("schema.json").string() + "' '" +
                         files.path("requests").string() + "' '" + files.path("said").string() +
                         "'";
    REQUIRE(std::system(command.c_str()) == 0); // NOLINT(cert-env33-c): of this test's own making
    return files.read("said");
}

std::string request(const std::string& rest) {
    return R"({"v":1,"template":"accounts",)" + rest + "}";
}

} // namespace

TEST_CASE("the JSON Schema of a catalog takes what a node takes, and nothing else") {
    const auto schema = json_schema_of(catalog);
    INFO(schema);
    CHECK(judged(schema,
                 {
                     request(R"("op":"fetch","key":7)"),
                     request(R"("op":"fetch","key":"7","fields":["owner"])"),
                     request(R"("op":"find","where":{"owner":"Ann"},"sort":["-owner"])"),
                     request(R"("op":"find","where":{"owner":{"prefix":"A"}},"limit":5)"),
                     request(R"("op":"insert","data":{"owner":"Ann","status":"open"})"),
                     request(R"("op":"insert","data":[{"owner":"Ann","balance":null}])"),
                     request(R"("op":"update","key":1,"inc":{"balance":"1.50"},"id":"a")"),
                     request(R"("op":"delete","where":{"owner":"Ann"},"if":{"tiny":1})"),
                     request(R"("op":"call","name":"transfer","args":{"to":2,"amount":"1"})"),
                     R"({"v":1,"template":"places","op":"fetch","key":{"land":"MX","town":"O"}})",
                 }) == "yyyyyyyyyy");
    CHECK(judged(schema,
                 {
                     request(R"("op":"fetch")"),
                     request(R"("op":"fetch","key":7,"fields":["ownr"])"),
                     request(R"("op":"find","where":{"balance":"1.00"})"), // not indexed
                     request(R"("op":"find","limit":1001)"),
                     request(R"("op":"insert","data":{"status":"open"})"), // no owner
                     request(R"("op":"insert","data":{"owner":"Annabel"})"),
                     request(R"("op":"insert","data":{"owner":"Ann","id":1})"), // protected
                     request(R"("op":"insert","data":{"owner":"Ann","status":"gone"})"),
                     request(R"("op":"insert","data":{"owner":"Ann","tiny":256})"),
                     request(R"("op":"update","key":1)"),
                     request(R"("op":"update","set":{"owner":"Bob"})"),
                     request(R"("op":"delete","where":{})"),
                     request(R"("op":"call","name":"transfer","args":{"to":2})"),
                     request(R"("op":"call","name":"transfers","args":{"to":2,"amount":"1"})"),
                     R"({"v":1,"template":"places","op":"fetch","key":{"land":"MX"}})",
                     R"({"v":1,"template":"places","op":"insert","data":{"land":"MX","town":"O"}})",
                 }) == "nnnnnnnnnnnnnnnn");
    const auto insert = [](const std::string& rest) {
        return request(R"("op":"insert","data":{"owner":"Ann"},)" + rest);
    };
    const auto town = [](const std::string& conflict) {
        return R"({"v":1,"template":"towns","op":"insert","data":{"town":"O"},"on_conflict":)" +
               conflict + '}';
    };
    CHECK(
        judged(schema, {
                           insert(R"("return":["id","tiny"])"),
                           insert(R"("on_conflict":{"do":"nothing"})"),
                           insert(R"("on_conflict":{"do":"update","set":["tiny"]})"),
                           insert(R"("on_conflict":{"unique":["status","owner"],"do":"nothing"})"),
                           request(R"("op":"update","key":1,"set":{"tiny":1},"return":["tiny"])"),
                           request(R"("op":"delete","key":1,"return":["tiny"])"),
                           town(R"({"do":"nothing"})"),
                       }) == "yyyyyyy");
    CHECK(judged(schema, {
                             insert(R"("return":[])"),
                             insert(R"("return":["tinny"])"),
                             insert(R"("on_conflict":{})"),
                             insert(R"("on_conflict":{"do":"update"})"),
                             insert(R"("on_conflict":{"do":"nothing","set":["tiny"]})"),
                             insert(R"("on_conflict":{"do":"update","set":["owner"]})"),
                             insert(R"("on_conflict":{"unique":["owner"],"do":"nothing"})"),
                             insert(R"("on_conflict":{"unique":["tiny"],"do":"nothing"})"),
                             request(R"("op":"find","return":["tiny"])"),
                             town(R"({"do":"update","set":["town"]})"),
                         }) == "nnnnnnnnnn");
    CHECK(schema.find("guarantee: at_least_once") != std::string::npos);
}

TEST_CASE("of values, the JSON Schema takes and refuses what the node takes and refuses") {
    struct type_samples {
        const char* type; ///< as `describe` says it
        std::uint32_t max;
        std::vector<const char*> samples; ///< JSON
    };
    const std::vector<type_samples> all{
        {"date",
         0,
         {R"("2026-01-31")", R"("2026-02-29")", R"("2024-02-29")", R"("1900-02-29")",
          R"("2000-02-29")", R"("0000-01-01")", R"("0001-01-01")", R"("9999-12-31")",
          R"("2026-04-31")", R"("2026-13-01")", R"("2026-1-1")", R"("2026-01-31T00:00:00Z")",
          R"("")", "20260131", "null", R"("2026-01-00")", R"("2400-02-29")", R"("2100-02-29")"}},
        {"time",
         0,
         {R"("23:59:59")", R"("24:00:00")", R"("23:59:60")", R"("00:00:00.000001")",
          R"("00:00:00.0000001")", R"("00:00:00.")", R"("1:00:00")", R"("-01:00:00")", R"("12:00")",
          R"("12:00:00Z")"}},
        {"datetime",
         0,
         {R"("2026-01-31T23:59:59Z")", R"("2026-01-31t23:59:59z")", R"("2026-01-31 23:59:59Z")",
          R"("2026-01-31T23:59:59.5+02:00")", R"("2026-01-31T23:59:59.5+24:00")",
          R"("2026-01-31T23:59:59")", R"("2026-02-30T00:00:00Z")", R"("2026-01-31T23:59:59-0300")",
          R"("2026-01-31T23:59:59.1234567Z")", R"("2026-01-31")"}},
        {"bytes",
         0,
         {R"("")", R"("AAAA")", R"("AAA=")", R"("AA==")", R"("A===")", R"("AAA")", R"("AAB=")",
          R"("AB==")", R"("AQ==")", R"("AAE=")", R"("AA=A")", R"("A-_A")", R"("AAAAAA==")",
          R"("=AAA")"}},
        {"bytes", 3, {R"("AAAA")", R"("AAA=")", R"("AAAAAA==")"}},
        {"bytes", 4, {R"("AAAAAA==")", R"("AAAAAAA=")", R"("AAAAAAAA")", R"("AAA=")"}},
        {"bytes", 5, {R"("AAAAAA==")", R"("AAAAAAA=")", R"("AAAAAAAA")", R"("AAAA")"}},
        {"decimal(5,2)",
         0,
         {R"("0")", R"("-0")", R"("123.45")", R"("1234.5")", R"("123.450")", R"("123.456")",
          R"("00.1")", R"(".5")", R"("5.")", R"("1e2")", R"("+1")", "999", "1000", "-999.99",
          "-1000", R"("999.9900000")", R"("")", "true"}},
        {"decimal(2,2)", 0, {R"("0.99")", R"("1.00")", R"("0")", R"("-0.01")", "1"}},
        {"decimal(20,0)",
         0,
         {R"("12345678901234567890")", R"("123456789012345678901")", R"("1.0")", R"("1.1")", "1"}},
        {"int8",
         0,
         {"127", "128", "-128", "-129", R"("127")", R"("128")", R"("-128")", R"("-129")", R"("-0")",
          R"("0")", R"("007")", R"("99")", R"("100")", R"("1000")", R"("1.0")"}},
        {"uint8", 0, {R"("255")", R"("256")", R"("-1")", R"("199")", R"("249")", R"("300")"}},
        {"int64",
         0,
         {R"("9223372036854775807")", R"("9223372036854775808")", R"("-9223372036854775808")",
          R"("-9223372036854775809")", R"("8999999999999999999")", "9223372036854775807"}},
        {"uint64", 0, {R"("18446744073709551615")", R"("18446744073709551616")", "0"}},
        {"uuid",
         0,
         {R"("123e4567-e89b-12d3-a456-426614174000")", R"("123E4567-E89B-12D3-A456-426614174000")",
          R"("123e4567e89b12d3a456426614174000")", R"("{123e4567-e89b-12d3-a456-426614174000}")"}},
        {"string", 3, {R"("abc")", R"("abcd")", R"("äöü")", "1"}},
        {"bool", 0, {"true", "1", R"("true")"}},
    };
    for (const auto& [type, max, samples] : all) {
        auto wanted = beds::core::parse_field_type(type);
        REQUIRE(wanted);
        wanted->max = max;
        const auto described = std::string{R"({"templates":[{"name":"t","key":["id"],"fields":[)"} +
                               R"({"name":"id","type":"int64","key":true,"indexed":true},)" +
                               R"({"name":"f","type":")" + type + '"' +
                               (max == 0 ? "" : ",\"max\":" + std::to_string(max)) +
                               R"(}],"operations":[{"op":"insert","class":"write"}]}]})";
        std::vector<std::string> requests;
        std::string taken;
        for (const auto* sample : samples) {
            requests.push_back(
                std::string{R"({"v":1,"template":"t","op":"insert","data":{"id":1,"f":)"} + sample +
                "}}");
            beds::core::arena memory{1024};
            beds::core::datum read;
            REQUIRE_FALSE(beds::core::parse_json(sample, memory, read));
            beds::core::value value;
            const bool fits = !beds::core::convert(read, *wanted, memory, value) &&
                              read.type != beds::core::datum::kind::null;
            taken += fits ? 'y' : 'n';
        }
        const auto by_schema = judged(json_schema_of(described), requests);
        for (std::size_t i = 0; i < samples.size(); ++i) {
            INFO(type << ' ' << max << ' ' << samples[i]);
            CHECK(by_schema.substr(i, 1) == taken.substr(i, 1));
        }
        CHECK(taken.find('y') != std::string::npos);
        CHECK(taken.find('n') != std::string::npos);
    }
}

TEST_CASE("the JSON Schema takes increments below zero, and nested data nowhere in 'if'") {
    const std::string_view described =
        R"json({"templates":[{"name":"accounts","key":["id"],"fields":[
 {"name":"id","type":"int64","key":true,"indexed":true},
 {"name":"seats","type":"uint16"},
 {"name":"step","type":"int8"},
 {"name":"most","type":"uint64"},
 {"name":"owner","type":"string","max":5},
 {"name":"notes","type":"json","nullable":true},
 {"name":"more","type":"document"}],
 "operations":[{"op":"update","class":"write"},{"op":"delete","class":"write"}]}]})json";
    const auto increment = [](const std::string& inc) {
        return request(R"("op":"update","key":1,"inc":)" + inc);
    };
    const auto removal = [](const std::string& condition) {
        return request(R"("op":"delete","key":1,"if":)" + condition);
    };
    const auto schema = json_schema_of(described);
    INFO(schema);
    CHECK(judged(schema, {
                             increment(R"({"seats":-1})"),
                             increment(R"({"seats":"-1"})"),
                             increment(R"({"step":200})"),
                             increment(R"({"step":"-200"})"),
                             increment(R"({"most":-9223372036854775808})"),
                             increment(R"({"most":"9223372036854775807"})"),
                             removal(R"({"notes":null})"),
                             removal(R"({"more":null})"),
                             removal(R"({"owner":null,"seats":7})"),
                         }) == "yyyyyyyyy");
    CHECK(judged(schema, {
                             increment(R"({"most":"9223372036854775808"})"),
                             increment(R"({"seats":"-01"})"),
                             increment(R"({"seats":null})"),
                             increment(R"({"seats":1.5})"),
                             increment(R"({"id":1})"),
                             increment(R"({"owner":1})"),
                             request(R"("op":"update","key":1,"set":{"seats":-1})"),
                             removal(R"({"notes":{"a":1}})"),
                             removal(R"({"notes":1})"),
                             removal(R"({"more":{}})"),
                             removal(R"({"seats":-1})"),
                         }) == "nnnnnnnnnnn");
}

TEST_CASE("the AsyncAPI document refers to what it holds, and to nothing else") {
    const auto text = asyncapi_of(catalog, "t_");
    INFO(text);
    const auto all = json::parse(text);
    CHECK(all.at("asyncapi") == "3.0.0");
    const auto& channel = all.at("channels").at("accounts.write");
    CHECK(channel.at("address") == "accounts.write");
    CHECK(channel.at("bindings").at("amqp").at("exchange").at("name") == "t_beds.events");
    CHECK(channel.at("messages").as_object().size() == 4); // insert, update, delete, transfer
    CHECK(all.at("channels").at("accounts.read").at("messages").as_object().size() == 4);
    CHECK_FALSE(all.at("channels").as_object().contains("places.write"));
    CHECK(all.at("operations").as_object().size() == 4);
    std::size_t references = 0;
    const auto look = [&](const auto& self, const json::value& in) -> void {
        if (in.is_array()) {
            for (const auto& each : in.get_array()) {
                self(self, each);
            }
        } else if (in.is_object()) {
            for (const auto& [name, value] : in.get_object()) {
                self(self, value);
                if (name == "$ref") {
                    ++references;
                    const auto path = std::string{value.get_string()};
                    REQUIRE(path.starts_with("#/"));
                    boost::system::error_code missing;
                    static_cast<void>(all.find_pointer(path.substr(1), missing));
                    INFO(path);
                    CHECK_FALSE(missing);
                }
            }
        }
    };
    look(look, all);
    CHECK(references > 20);
}

TEST_CASE("writes of a template with order_by have a channel and a header of their own") {
    std::string ordered{catalog};
    const std::string_view after = R"("name":"accounts","version":1,)";
    ordered.insert(ordered.find(after) + after.size(), R"("order_by":"id",)");
    const auto all = json::parse(asyncapi_of(ordered, ""));
    const auto& channels = all.at("channels").as_object();
    CHECK_FALSE(channels.contains("accounts.write"));
    CHECK(channels.at("accounts.order").at("address") == "accounts.order");
    CHECK(channels.contains("accounts.read"));
    const auto first = channels.at("accounts.order").at("messages").as_object().begin()->key();
    const auto& messages = all.at("components").at("messages").as_object();
    CHECK(messages.at(first).at("headers").at("required").as_array().front() == "beds-order");
    for (const auto& [name, message] : messages) {
        INFO(name);
        const bool writes = channels.at("accounts.order").at("messages").as_object().contains(name);
        CHECK(message.as_object().contains("headers") == writes);
    }
}

TEST_CASE("what is no catalog is no contract") {
    CHECK_THROWS_AS(json_schema_of("{}"), std::invalid_argument);
    CHECK_THROWS_AS(asyncapi_of("nonsense", ""), std::invalid_argument);
}
