#include "ladders.hpp"

#include "support/becomes.hpp"
#include "support/catch.hpp"

#include <atomic>
#include <map>
#include <mutex>

namespace beds::test {
namespace {

using namespace std::chrono_literals;

constexpr int steps = 40;

struct ladder_type {
    std::string definition;
    std::vector<std::string> values; ///< as protocol and header have them
};

const std::map<std::string, ladder_type>& ladders() {
    static const std::map<std::string, ladder_type> all{
        {"string", {R"(type = "string", max = 40)", {"plain", "two words", "ÄÖ 'q' \"d\"", "🐑"}}},
        {"uuid",
         {R"(type = "uuid")",
          {"00000000-0000-0000-0000-000000000001", "f81d4fae-7dec-11d0-a765-00a0c91e6bf6",
           "ffffffff-ffff-ffff-ffff-ffffffffffff"}}},
        {"date", {R"(type = "date")", {"1000-01-01", "2024-02-29", "9999-12-31"}}},
        {"int64",
         {R"(type = "int64")", {"-9223372036854775808", "-1", "0", "9223372036854775807"}}},
        {"uint64", {R"(type = "uint64")", {"0", "18446744073709551615"}}}};
    return all;
}

client::value value_of(const std::string& type, const std::string& text) {
    return type.ends_with("int64") ? client::value::from_json(text) : client::value{text};
}

} // namespace

std::vector<std::string> ladder_types() {
    std::vector<std::string> names;
    for (const auto& [name, type] : ladders()) {
        names.push_back(name);
    }
    return names;
}

std::vector<std::string> ladder_templates(const std::string& store) {
    std::vector<std::string> made;
    for (const auto& [name, type] : ladders()) {
        made.push_back("[template]\nname = \"ladder_" + name + "\"\nstore = \"" + store +
                       "\"\nobject = \"ladder_" + name +
                       "\"\nkey = [\"at\"]\norder_by = \"at\"\n[fields]\nat = { " +
                       type.definition + ", required = true }\nstep = { type = \"int32\" }\n");
    }
    return made;
}

void check_ladders(const endpoint& rabbitmq, const config::rel_service_settings* rel,
                   node_options options) {
    options.templates = ladder_templates(rel != nullptr ? "rel" : "rec");
    const running_node first{rabbitmq, rel, options};
    REQUIRE(first.ready(30s));
    options.tag = first.tag();
    const running_node second{rabbitmq, rel, options};
    REQUIRE(second.ready(30s));
    const auto through = first.new_client();

    std::mutex guard;
    std::vector<std::string> refused;
    std::atomic<int> answered = 0;
    int asked = 0;
    const auto submit = [&](client::operation what, const std::string& at) {
        client::request made{std::move(what)};
        made.order = at;
        ++asked;
        through->submit(std::move(made), core::deadline::after(60s), [&](client::reply got) {
            if (!got.ok()) {
                const std::lock_guard lock{guard};
                refused.push_back(got.json());
            }
            ++answered;
        });
    };
    for (int step = 0; step <= steps; ++step) {
        for (const auto& [name, type] : ladders()) {
            for (const auto& at : type.values) {
                const auto key = value_of(name, at);
                if (step == 0) {
                    submit(client::insert("ladder_" + name, {{"at", key}, {"step", 0}}), at);
                    continue;
                }
                auto climb = client::update("ladder_" + name, key, {{"step", step}});
                climb.expect = client::value::object({{"step", step - 1}});
                submit(std::move(climb), at);
            }
        }
    }
    CHECK(becomes([&] { return answered == asked; }, 60s));
    const std::lock_guard lock{guard};
    CHECK(refused.size() == 0);
    if (!refused.empty()) {
        FAIL_CHECK(refused.front());
    }
    for (const auto& [name, type] : ladders()) {
        for (const auto& at : type.values) {
            CAPTURE(name, at);
            const auto got = through->call(client::fetch("ladder_" + name, value_of(name, at)));
            REQUIRE(got.ok());
            REQUIRE(got.front().size() == 1);
            CHECK(got.front()[0].integer("step") == steps);
        }
    }
}

} // namespace beds::test
