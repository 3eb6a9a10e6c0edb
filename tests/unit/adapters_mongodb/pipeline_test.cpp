#include "adapters/mongodb/pipeline.hpp"
#include "bson_text.hpp"
#include "support/catch.hpp"

#include <beds/core/json.hpp>

#include <string>
#include <vector>

using namespace beds;
using namespace beds::adapters::mongodb;

namespace {

templates::call call_of(std::string text) {
    templates::call made;
    made.name = "it";
    made.op_class = core::op_class::read;
    made.pipeline = std::move(text);
    made.args = {{"word", *core::parse_field_type("string")},
                 {"n", *core::parse_field_type("int64")},
                 {"tree", *core::parse_field_type("document")}};
    return made;
}

std::string problem(std::string text) {
    return pipeline{call_of(std::move(text))}.problem();
}

/// The stages with `word` bound to a text.
std::string bound(std::string text, std::string_view word, std::int64_t n = 3,
                  std::string_view tree = R"({"$gt":""})") {
    const auto called = call_of(std::move(text));
    const pipeline stages{called};
    REQUIRE(stages.problem().empty());
    core::arena memory;
    core::datum parsed;
    REQUIRE_FALSE(core::parse_json(tree, memory, parsed));
    const std::vector<core::value> args{core::value::of_text(core::value::kind::string, word),
                                        core::value::of_int(n), core::value::of_document(&parsed)};
    bson_writer to;
    REQUIRE_FALSE(stages.append_to(to, "p", args, memory));
    return test::text_of(to);
}

} // namespace

TEST_CASE("pipeline: arguments in the form in which others store what they are compared with") {
    CHECK(bound(R"([{"$match":{"a":{"$gte":{"$arg":"word","stored":"object_id"}}}}])",
                "507f1f77bcf86cd799439011") ==
          R"({ "p" : [ { "$match" : { "a" : { "$gte" : )"
          R"({ "$oid" : "507f1f77bcf86cd799439011" } } } } ] })");
    auto called = call_of(R"([{"$project":{"x":{"$arg":"at","stored":"date"}}}])");
    called.args = {{"at", *core::parse_field_type("datetime")}};
    const pipeline stages{called};
    REQUIRE(stages.problem().empty());
    core::arena memory;
    bson_writer to;
    std::vector args{core::value::of_number(core::value::kind::datetime, 7'000)};
    REQUIRE_FALSE(stages.append_to(to, "p", args, memory));
    CHECK(test::text_of(to) == R"({ "p" : [ { "$project" : { "x" : { "$literal" : )"
                               R"({ "$date" : { "$numberLong" : "7" } } } } } ] })");
    args.front() = core::value::of_number(core::value::kind::datetime, 7'001);
    bson_writer other;
    CHECK(stages.append_to(other, "p", args, memory));
    CHECK(problem(R"([{"$match":{"a":{"$arg":"word","stored":"x"}}}])").find("stands alone") !=
          std::string::npos);
}

TEST_CASE("pipeline: arguments stay values wherever they stand") {
    CHECK(bound(R"([{"$match":{"a":{"$arg":"word"}}}])", "$ne") ==
          R"({ "p" : [ { "$match" : { "a" : { "$eq" : "$ne" } } } ] })");
    CHECK(bound(R"([{"$match":{"a":{"$arg":"tree"}}}])", "") ==
          R"({ "p" : [ { "$match" : { "a" : { "$eq" : { "$gt" : "" } } } } ] })");
    CHECK(
        bound(
            R"([{"$match":{"$or":[{"a":{"$gte":{"$arg":"n"}}},{"b":{"$in":[{"$arg":"word"}]}}]}}])",
            "$x") ==
        R"({ "p" : [ { "$match" : { "$or" : [ { "a" : { "$gte" : { "$numberLong" : "3" } } }, )"
        R"({ "b" : { "$in" : [ "$x" ] } } ] } } ] })");
    CHECK(bound(R"([{"$project":{"x":{"$arg":"word"},"y":{"$concat":["$a",{"$arg":"word"}]}}}])",
                "$password") ==
          R"({ "p" : [ { "$project" : { "x" : { "$literal" : "$password" }, )"
          R"("y" : { "$concat" : [ "$a", { "$literal" : "$password" } ] } } } ] })");
    CHECK(
        bound(R"([{"$match":{"$expr":{"$eq":["$a",{"$arg":"word"}]}}}])", "$b") ==
        R"({ "p" : [ { "$match" : { "$expr" : { "$eq" : [ "$a", { "$literal" : "$b" } ] } } } ] })");
    CHECK(bound(R"([{"$limit":{"$arg":"n"}}])", "") ==
          R"({ "p" : [ { "$limit" : { "$numberLong" : "3" } } ] })");
    CHECK(bound(R"([{"$lookup":{"from":"o","let":{"w":{"$arg":"word"}},)"
                R"("pipeline":[{"$match":{"a":{"$arg":"word"}}}],"as":"x"}}])",
                "$v") ==
          R"({ "p" : [ { "$lookup" : { "from" : "o", "let" : { "w" : { "$literal" : "$v" } }, )"
          R"("pipeline" : [ { "$match" : { "a" : { "$eq" : "$v" } } } ], "as" : "x" } } ] })");
    CHECK(bound(R"([{"$facet":{"a":[{"$match":{"b":{"$not":{"$gt":{"$arg":"n"}}}}}]}}])", "") ==
          R"({ "p" : [ { "$facet" : { "a" : [ { "$match" : )"
          R"({ "b" : { "$not" : { "$gt" : { "$numberLong" : "3" } } } } } ] } } ] })");
    CHECK(
        bound(R"([{"$match":{"a":{"$elemMatch":{"$gt":{"$arg":"n"}}}}}])", "") ==
        R"({ "p" : [ { "$match" : { "a" : { "$elemMatch" : { "$gt" : { "$numberLong" : "3" } } } } } ] })");
    CHECK(bound(R"([{"$match":{"a":[{"$arg":"word"},{"$arg":"tree"},1]}}])", "$x") ==
          R"({ "p" : [ { "$match" : { "a" : [ "$x", { "$gt" : "" }, )"
          R"({ "$numberLong" : "1" } ] } } ] })");
    CHECK(bound(R"([{"$match":{"a":{"$all":[{"$arg":"word"},{"$arg":"n"}]}}}])", "$x") ==
          R"({ "p" : [ { "$match" : { "a" : { "$all" : [ "$x", )"
          R"({ "$numberLong" : "3" } ] } } } ] })");
    CHECK(bound(R"([{"$addFields":{"a":{"$literal":{"$arg":"word"}}}}])", "$z") ==
          R"({ "p" : [ { "$addFields" : { "a" : { "$literal" : "$z" } } } ] })");
}

TEST_CASE("pipeline: places where no argument can stand") {
    CHECK(problem(R"([{"$match":{"a":{"$regex":{"$arg":"word"}}}}])") ==
          "pipeline: no argument can stand at '$regex'");
    CHECK(problem(R"([{"$match":{"$arg":"tree"}}])") ==
          "pipeline: no argument can stand at '$match'");
    CHECK(problem(R"([{"$match":{"$or":{"$arg":"tree"}}}])") ==
          "pipeline: no argument can stand at '$or'");
    CHECK(problem(R"([{"$lookup":{"from":{"$arg":"word"},"as":"x"}}])") ==
          "pipeline: no argument can stand at 'from'");
    CHECK(problem(R"([{"$merge":{"into":{"$arg":"word"}}}])") ==
          "pipeline: no argument can stand at 'into'");
    CHECK(problem(R"([{"$limit":{"$arg":"word"}}])") ==
          "pipeline: '$limit' takes only numbers as arguments");
    CHECK(
        problem(R"([{"$project":{"a":{"$regexMatch":{"input":"$b","regex":{"$arg":"word"}}}}}])") ==
        "pipeline: no argument can stand at 'regex'");
    for (const char* text :
         {R"([{"$match":{"a":{"$all":{"$arg":"tree"}}}}])",
          R"([{"$match":{"a":{"$all":[1,{"$arg":"tree"}]}}}])",
          R"([{"$match":{"a":{"$elemMatch":{"$all":[{"$arg":"tree"}]}}}}])",
          R"([{"$match":{"a":{"$all":[{"$elemMatch":{"b":{"$arg":"tree"}}}]}}}])"}) {
        CHECK(problem(text) == "pipeline: argument 'tree' is document: under '$all' the server "
                               "could take it for an operator");
    }
    CHECK(problem(R"([{"$match":{"a":{"$arg":"nobody"}}}])") ==
          "pipeline: there is no argument 'nobody'");
    CHECK(problem(R"([{"$match":{"a":{"$arg":"n","b":1}}}])") ==
          "pipeline: '$arg' stands alone in its object and names an argument");
}

TEST_CASE("pipeline: no script in the server") {
    for (const char* text :
         {R"([{"$match":{"$where":"sleep(5000)||true"}}])",
          R"([{"$project":{"a":{"$function":{"body":"x","args":[],"lang":"js"}}}}])",
          R"([{"$group":{"_id":1,"a":{"$accumulator":{}}}}])",
          R"([{"$facet":{"a":[{"$match":{"$or":[{"$where":"1"}]}}]}}])"}) {
        CHECK(problem(text).find("runs script in the server") != std::string::npos);
    }
}

TEST_CASE("pipeline: what is no pipeline") {
    CHECK(problem("[").find("pipeline is not JSON") == 0);
    CHECK(problem("{}") == "pipeline: a pipeline is an array of stages");
    CHECK(problem(R"([1])") == "pipeline: a stage is an object with one member");
    CHECK(problem(R"([{"$match":{},"$limit":1}])") ==
          "pipeline: a stage is an object with one member");
    CHECK(problem("[]").empty());
    CHECK(pipeline{call_of(R"([{"$match":{}},{"$merge":"x"}])")}.writes());
    CHECK_FALSE(pipeline{call_of(R"([{"$match":{"$merge":1}}])")}.writes());
}

TEST_CASE("pipeline: what is written elsewhere leaves the rings behind") {
    CHECK(
        bound(R"([{"$match":{"a":1}},{"$merge":"x"}])", "")
            .find(
                R"({ "$project" : { "_beds" : { "$numberInt" : "0" } } }, { "$merge" : "x" } ])") !=
        std::string::npos);
}
