#pragma once

#include "integration/mariadb/world.hpp"
#include "support/catch.hpp"

#include <beds/factory/factory.hpp>
#include <beds/wire/reply.hpp>
#include <beds/wire/request.hpp>

#include <deque>

namespace beds::test {

/// The table of make_accounts, as far as most tests want it; calls may follow.
inline constexpr std::string_view accounts_text = R"toml(
[template]
name = "accounts"
store = "rel"
object = "accounts"
key = ["id"]
[fields]
id      = { type = "int64", required = true }
balance = { type = "decimal(18,2)", default = "0" }
)toml";

struct asked {
    std::vector<std::string> operations;
    std::chrono::milliseconds deadline = 8s;
    std::string mode = "each";
};

/// A factory over a world's database as brokers have one; every call is one batch.
struct batches {
    batches(world& of, std::string_view template_text, factory::settings given = {})
        : here(of),
          work(registry_of(template_text), {of.shared_adapter()}, "rel",
               {.name = "batches", .supervisor = &supervisor, .log = of.log_sink()}, given) {
        REQUIRE(work.ensure_session(core::deadline::after(5s)));
    }

    static std::shared_ptr<const templates::registry> registry_of(std::string_view text) {
        auto parsed = templates::parse(text);
        INFO((parsed.problems.empty() ? "" : parsed.problems.front().message));
        REQUIRE(parsed.parsed);
        return std::make_shared<const templates::registry>(std::vector{*parsed.parsed});
    }
    std::vector<std::span<const core::outcome>> operator()(std::vector<asked> given) {
        memory.reset();
        bodies.clear();
        messages.clear();
        const auto now = core::machine_clock().system_now();
        for (const auto& one : given) {
            std::string text;
            for (const auto& each : one.operations) {
                text += (text.empty() ? "" : ",") + each;
            }
            bodies.push_back(R"({"v":1,"mode":")" + one.mode + R"(","ops":[)" + text + "]}");
        }
        for (std::size_t i = 0; i < bodies.size(); ++i) {
            auto& made = messages.emplace_back();
            REQUIRE_FALSE(decoder.decode(bodies[i], memory, made.request));
            made.request.principal = "tester";
            ids.push_back("message-" + std::to_string(sent++));
            made.request.message_id = ids.back();
            made.request.redelivered = redelivered;
            made.request.deadline = now + given[i].deadline;
        }
        writer.start(factory::factory::count(messages));
        const auto began = core::machine_clock().steady_now();
        work.run(messages, writer, memory, counters);
        took = core::machine_clock().steady_now() - began;
        std::vector<std::span<const core::outcome>> made;
        for (const auto& one : messages) {
            made.emplace_back(one.results);
        }
        return made;
    }
    /// The reply to message i of the last batch.
    std::string reply(std::size_t i) {
        std::string made;
        writer.append_reply(made, "", true, messages[i].first, messages[i].results);
        return made;
    }
    world& here;
    core::supervisor supervisor;
    factory::factory work;
    wire::request_decoder decoder;
    wire::reply_writer writer;
    core::arena memory;
    observe::live_counters counters;
    std::vector<std::string> bodies;
    std::deque<std::string> ids;
    std::vector<factory::message> messages;
    int sent = 0;
    bool redelivered = false; ///< what is sent next
    core::steady_time::duration took{};
};

} // namespace beds::test
