#include "contract.hpp"
#include "support/catch.hpp"
#include "support/folder.hpp"

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
 {"op":"exists","class":"read"},{"op":"insert","class":"write"},{"op":"update","class":"write"},
 {"op":"delete","class":"write"},
 {"op":"call","class":"write","guarantee":"at_least_once","name":"transfer",
  "args":[{"name":"to","type":"int64"},{"name":"amount","type":"decimal(18,2)"}]}],
 "limits":{"max_rows":1000,"max_in":500}},
{"name":"places","version":1,"group":"g","key":["land","town"],"fields":[
 {"name":"land","type":"string","key":true,"indexed":true},
 {"name":"town","type":"string","key":true,"indexed":true}],
 "operations":[{"op":"fetch","class":"read"}],"limits":{"max_rows":10,"max_in":5}}]})json";

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
    CHECK(schema.find("guarantee: at_least_once") != std::string::npos);
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
    CHECK(all.at("operations").as_object().size() == 3);
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

TEST_CASE("what is no catalog is no contract") {
    CHECK_THROWS_AS(json_schema_of("{}"), std::invalid_argument);
    CHECK_THROWS_AS(asyncapi_of("nonsense", ""), std::invalid_argument);
}
