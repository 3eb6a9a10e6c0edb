#pragma once

#include "support/catch.hpp"
#include "support/folder.hpp"
#include "support/running_node.hpp"

#include <beds/adapters/memory.hpp>
#include <beds/client/local_client.hpp>
#include <beds/node/node.hpp>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <sstream>
#include <string>
#include <vector>

namespace beds::test {

inline constexpr std::string_view steps_template = R"toml(
[template]
name       = "steps"
store      = "rel"
connection = "mem"
object     = "steps"
key        = ["id"]
order_by   = "id"
[fields]
id   = { type = "int64", required = true }
last = { type = "int64" }
done = { type = "string" }
[calls.step]
procedure = "step"
class     = "write"
args      = [["id", "int64"], ["number", "int64"]]
)toml";

/// What was done of each id, in the order in which it was done, by all nodes that share the store.
class steps {
public:
    /// Asked before a step is done; what is no success is its outcome.
    std::function<core::outcome(std::int64_t id, std::int64_t number, unsigned times)> judge;

    std::shared_ptr<adapters::adapter> store() {
        adapters::memory_settings how;
        how.calls["step"] = [this](adapters::memory_call& call) { return step(call); };
        const auto made = adapters::make_memory("mem", std::move(how));
        std::vector<templates::template_def> all{*templates::parse(steps_template).parsed};
        reader_ = client::make_local_client(
            std::make_shared<const templates::registry>(std::move(all)), {made});
        return made;
    }

    [[nodiscard]] std::vector<std::int64_t> of(std::int64_t id) const {
        const auto got = reader_->call(client::fetch("steps", id));
        std::vector<std::int64_t> made;
        if (got.ok() && got.front().size() == 1) {
            std::istringstream numbers{std::string{got.front()[0].text("done")}};
            for (std::int64_t number = 0; numbers >> number;) {
                made.push_back(number);
            }
        }
        return made;
    }

private:
    /// Within the transaction: what is undone is not there.
    core::outcome step(adapters::memory_call& call) {
        const auto key = call.args().first(1);
        const auto number = call.args()[1].integer;
        if (judge) {
            unsigned times = 0;
            {
                const std::lock_guard lock{mutex_};
                times = ++tried_[{key[0].integer, number}];
            }
            if (auto said = judge(key[0].integer, number, times); !said.ok()) {
                return said;
            }
        }
        const auto row = call.fetch(call.target(), key);
        auto done = row.empty() ? std::string{} : std::string{row[2].text} + ' ';
        done += std::to_string(number);
        const adapters::assignment cells[] = {
            {0, key[0]},
            {1, call.args()[1]},
            {2, core::value::of_text(core::value::kind::string, call.memory().copy(done))}};
        return row.empty() ? call.insert(call.target(), cells)
                           : call.update(call.target(), key, std::span{cells}.subspan(1));
    }

    std::mutex mutex_;
    std::map<std::pair<std::int64_t, std::int64_t>, unsigned> tried_;
    std::unique_ptr<client::client> reader_;
};

/// A node of the role whose queues have this tag, on a store that others may use, too.
class node_of_steps {
public:
    node_of_steps(const endpoint& rabbitmq, const std::string& tag,
                  std::shared_ptr<adapters::adapter> store,
                  const std::function<void(config::settings&)>& change = {}) {
        config::settings settings;
        settings.id.node = unique_name("node");
        settings.templates.directory.clear();
        config::broker_service_settings service;
        service.host = rabbitmq.host;
        service.port = rabbitmq.port;
        service.vhost = rabbitmq.path.empty() ? "/" : rabbitmq.path;
        service.user = rabbitmq.user;
        service.pass = core::secret{rabbitmq.password};
        service.queue_tag = tag;
        service.instances["mem"] = {.read = 1, .write = 1};
        settings.broker_services["app_server"] = service;
        if (change) {
            change(settings);
        }
        node_ = std::make_unique<node::node>(
            std::move(settings),
            observe::log_sink{observe::level::info, [this](const observe::log_record& record) {
                                  const std::lock_guard lock{mutex_};
                                  log_ += std::string{record.source} + ' ' +
                                          std::string{record.id} + ' ' + std::string{record.text} +
                                          '\n';
                              }});
        node_->add_connection(std::move(store));
    }

    [[nodiscard]] node::node& node() { return *node_; }
    void start(std::string_view text = steps_template) {
        begin(text);
        INFO(log());
        REQUIRE(node_->wait_ready(core::deadline::after(std::chrono::seconds{20})));
    }
    /// Without waiting, and without a word to Catch2, which is for one thread only.
    void begin(std::string_view text = steps_template) {
        node_->add_template(std::string{text}, "steps.toml");
        node_->start();
    }
    [[nodiscard]] std::string log() const {
        const std::lock_guard lock{mutex_};
        return log_;
    }
    [[nodiscard]] std::uint64_t ordered() const {
        std::uint64_t made = 0;
        for (const auto& one : node_->status().brokers) {
            made += one.broker.find(".order/") != std::string::npos ? one.operations : 0;
        }
        return made;
    }

private:
    mutable std::mutex mutex_;
    std::string log_;
    std::unique_ptr<node::node> node_;
};

inline raw_message step(std::int64_t id, std::int64_t number) {
    raw_message made;
    made.key = "steps.order";
    made.message_id = unique_name("step");
    made.text_headers = {{"beds-order", std::to_string(id)}};
    made.body = R"({"v":1,"template":"steps","op":"call","name":"step","args":{"id":)" +
                std::to_string(id) + R"(,"number":)" + std::to_string(number) + "}}";
    return made;
}

} // namespace beds::test
