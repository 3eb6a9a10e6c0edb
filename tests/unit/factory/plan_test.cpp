#include "factory/bind.hpp"
#include "factory/plan.hpp"
#include "support/catch.hpp"

#include <beds/templates/registry.hpp>
#include <beds/wire/request.hpp>

using namespace beds;

namespace {

constexpr std::string_view toml = R"toml(
[template]
name   = "t"
store  = "rel"
object = "t"
key    = ["id"]
[fields]
id = { type = "int64", required = true }
n  = { type = "int64" }
[[index]]
fields = ["n"]
[calls.work]
procedure = "sp_work"
class     = "write"
args      = [["x", "int64"]]
[calls.commits]
procedure = "sp_commits"
class     = "write"
args      = [["x", "int64"]]
)toml";

/// Plans messages given as the `ops` of envelopes and tells (unit, wave) of every operation.
struct planning {
    explicit planning(const std::string& key_type = "int64") {
        std::string text{toml};
        text.replace(text.find("\"int64\"") + 1, 5, key_type);
        auto parsed = templates::parse(text);
        REQUIRE(parsed.parsed);
        registry = std::make_unique<templates::registry>(std::vector{std::move(*parsed.parsed)});
        bind = std::make_unique<factory::binder>(registry->all());
    }

    std::vector<std::pair<std::uint32_t, std::uint32_t>>
    operator()(const std::vector<std::string>& messages) {
        memory.reset();
        std::vector<factory::planned*> all;
        texts.clear();
        texts.reserve(messages.size());
        for (std::uint32_t m = 0; m < messages.size(); ++m) {
            texts.push_back("{\"v\":1,\"ops\":[" + messages[m] + "]}");
            core::request request;
            REQUIRE_FALSE(decoder.decode(texts.back(), memory, request));
            const auto first = all.size();
            bool writes = false;
            for (const auto& op : request.operations) {
                auto* made = memory.make<factory::planned>();
                made->message = m;
                made->bound.index = static_cast<core::op_index>(all.size());
                made->bound.target = registry->find("t");
                made->bound.call =
                    op.name.empty() ? nullptr : made->bound.target->find_call(op.name);
                INFO(op.refusal);
                const auto failure = bind->bind(op, core::system_time{}, memory, made->bound);
                INFO((failure ? failure->detail : std::string_view{}));
                REQUIRE_FALSE(failure);
                made->writes =
                    made->bound.target->class_of(op.op, made->bound.call) != core::op_class::read;
                made->alone = op.name == "commits";
                writes = writes || made->writes;
                all.push_back(made);
            }
            for (auto i = first; i < all.size(); ++i) {
                all[i]->message_writes = writes;
            }
        }
        factory::plan(all, memory);
        std::vector<std::pair<std::uint32_t, std::uint32_t>> got;
        for (const auto* one : all) {
            got.emplace_back(one->unit, one->wave);
        }
        return got;
    }

    std::unique_ptr<templates::registry> registry;
    std::unique_ptr<factory::binder> bind;
    wire::request_decoder decoder;
    core::arena memory;
    std::vector<std::string> texts;
};

std::string fetch(int id) {
    return R"({"template":"t","op":"fetch","key":)" + std::to_string(id) + "}";
}
std::string update(int id) {
    return R"({"template":"t","op":"update","key":)" + std::to_string(id) + R"(,"inc":{"n":1}})";
}
std::string insert(int id) {
    return R"({"template":"t","op":"insert","data":{"id":)" + std::to_string(id) + "}}";
}
const std::string find = R"({"template":"t","op":"find","where":{"n":1}})";
const std::string update_where = R"({"template":"t","op":"update","where":{"n":1},"set":{"n":2}})";
std::string call(std::string_view name) {
    return R"({"template":"t","op":"call","name":")" + std::string{name} + R"(","args":{"x":1}})";
}
using waves = std::vector<std::pair<std::uint32_t, std::uint32_t>>;

} // namespace

TEST_CASE("reads commute: one wave, whatever they are") {
    planning plan;
    CHECK(plan({fetch(1) + "," + find + "," + fetch(1), fetch(1)}) ==
          waves{{0, 0}, {0, 0}, {0, 0}, {0, 0}});
}

TEST_CASE("writes to different keys share a wave, to one key never") {
    planning plan;
    CHECK(plan({update(1) + "," + update(2), update(3)}) == waves{{0, 0}, {0, 0}, {0, 0}});
    CHECK(plan({update(1) + "," + update(1), update(1)}) == waves{{0, 0}, {0, 1}, {0, 2}});
    CHECK(plan({insert(1) + "," + update(1)}) == waves{{0, 0}, {0, 1}});
}

TEST_CASE("keys that differ in blanks at their end alone may be one to the database") {
    planning plan{"string"};
    const auto write = [](const std::string& key) {
        return R"({"template":"t","op":"update","key":")" + key + R"(","set":{"n":1}})";
    };
    CHECK(plan({write("ab ") + "," + write("ab")}) == waves{{0, 0}, {0, 1}});
    CHECK(plan({write(" ab") + "," + write("ab")}) == waves{{0, 0}, {0, 0}});
}

TEST_CASE("inside a message a read sees the writes before it and not those after") {
    planning plan;
    CHECK(plan({update(1) + "," + fetch(1) + "," + update(1)}) == waves{{0, 0}, {0, 1}, {0, 2}});
    CHECK(plan({fetch(1) + "," + update(1)}) == waves{{0, 0}, {0, 1}});
    // Another message's read has no order with them.
    CHECK(plan({update(1), fetch(1)}) == waves{{0, 0}, {0, 0}});
}

TEST_CASE("calls, writes by where, and finds in a message that writes are barriers") {
    planning plan;
    CHECK(plan({update(1) + "," + find + "," + update(2)}) == waves{{0, 0}, {0, 1}, {0, 2}});
    CHECK(plan({update(1) + "," + update_where + "," + fetch(3)}) == waves{{0, 0}, {0, 1}, {0, 2}});
    CHECK(plan({call("work") + "," + update(1)}) == waves{{0, 0}, {0, 1}});
    // Calls of one shape may follow each other in one wave: they run in the order given.
    CHECK(plan({call("work") + "," + call("work") + "," + update(1)}) ==
          waves{{0, 0}, {0, 0}, {0, 1}});
}

TEST_CASE(
    "a call that commits by itself gets a transaction of its own, and what follows comes after") {
    planning plan;
    CHECK(plan({update(1) + "," + call("commits") + "," + update(1), update(2)}) ==
          waves{{0, 0}, {1, 0}, {2, 0}, {0, 0}});
    CHECK(plan({call("commits") + "," + call("commits")}) == waves{{1, 0}, {3, 0}});
}
