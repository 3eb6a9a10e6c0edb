#pragma once

#include <beds/factory/factory.hpp>
#include <beds/observe/counters.hpp>
#include <beds/templates/registry.hpp>
#include <beds/wire/reply.hpp>
#include <beds/wire/request.hpp>

#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// Requests of the wire through a factory of their own, as a broker has one.
namespace beds::test::mongodb {

inline std::shared_ptr<const templates::registry>
registry_of(std::initializer_list<std::string_view> texts) {
    std::vector<templates::template_def> all;
    for (const auto text : texts) {
        auto parsed = templates::parse(text, {}, "test.toml");
        if (!parsed.problems.empty()) {
            throw std::runtime_error(templates::to_string(parsed.problems.front()));
        }
        all.push_back(std::move(*parsed.parsed));
    }
    return std::make_shared<const templates::registry>(std::move(all));
}

struct sent {
    std::string id;
    std::string body; ///< `{"v":1,…}` without its braces and version
    bool redelivered = false;
};

class requests {
public:
    requests(std::shared_ptr<adapters::adapter> adapter,
             std::shared_ptr<const templates::registry> registry, observe::log_sink log = {})
        : work_(std::move(registry), {adapter}, adapter->connection_name(), [&] {
              adapters::session_context context;
              context.name = "requests";
              context.log = std::move(log);
              return context;
          }()) {}

    /// All of them as one batch; the reply of each.
    std::vector<std::string> run(const std::vector<sent>& batch) {
        memory_.reset();
        std::vector<std::string> bodies;
        std::vector<factory::message> messages;
        bodies.reserve(batch.size());
        for (const auto& from : batch) {
            const auto& body = bodies.emplace_back("{\"v\":1," + from.body + "}");
            auto& message = messages.emplace_back();
            if (const auto refused = decoder_.decode(body, memory_, message.request)) {
                throw std::runtime_error(std::string{refused->detail} + ": " + body);
            }
            message.request.message_id = from.id;
            message.request.principal = "tester";
            message.request.redelivered = from.redelivered;
        }
        writer_.start(factory::factory::count(messages));
        work_.run(messages, writer_, memory_, counters_);
        std::vector<std::string> replies;
        for (const auto& message : messages) {
            writer_.append_reply(replies.emplace_back(), {}, message.request.operations.size() > 1,
                                 message.first, message.results);
        }
        return replies;
    }
    std::string run(std::string id, std::string body, bool redelivered = false) {
        return run({{std::move(id), std::move(body), redelivered}}).front();
    }

    void change_templates(std::shared_ptr<const factory::template_set> set) {
        work_.change_templates(std::move(set));
    }

private:
    factory::factory work_;
    wire::request_decoder decoder_;
    wire::reply_writer writer_;
    core::arena memory_;
    observe::live_counters counters_;
};

} // namespace beds::test::mongodb
