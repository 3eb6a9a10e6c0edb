#pragma once

#include "support/queues.hpp"
#include "support/servers.hpp"

#include <beds/adapters/memory.hpp>
#include <beds/client/amqp_client.hpp>
#include <beds/node/node.hpp>

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>

namespace beds::test {

inline constexpr std::string_view items_template = R"toml(
[template]
name       = "items"
store      = "rel"
connection = "mem"
object     = "ms_items"
key        = ["id"]
[fields]
id    = { type = "int64", required = true }
name  = { type = "string", max = 40, required = true }
owner = { type = "string", max = 20 }
stock = { type = "int64", default = 0 }
price = { type = "decimal(12,2)", default = "0.00" }
[[index]]
fields = ["owner"]
[[index]]
fields = ["name"]
unique = true
)toml";

/// The engine in memory behind a switch: while it is off, the database is away.
class switched_adapter : public adapters::adapter {
public:
    explicit switched_adapter(const std::string& connection, bool there)
        : there_(there), store_(adapters::make_memory(connection)) {}

    void turn_on() { there_ = true; }

    [[nodiscard]] std::string_view engine_name() const override { return store_->engine_name(); }
    [[nodiscard]] const std::string& connection_name() const override {
        return store_->connection_name();
    }
    [[nodiscard]] adapters::capabilities can() const override { return store_->can(); }
    [[nodiscard]] std::unique_ptr<adapters::session>
    open_session(adapters::session_context context) override {
        return std::make_unique<session>(there_, store_->open_session(std::move(context)));
    }
    [[nodiscard]] std::vector<std::string>
    check(const templates::template_def& target) const override {
        return store_->check(target);
    }
    [[nodiscard]] bool runs_alone(const templates::template_def& target, core::verb op,
                                  const templates::call* called) const override {
        return store_->runs_alone(target, op, called);
    }
    void inspect(adapters::session& connected,
                 std::span<const templates::template_def* const> targets,
                 core::deadline until) override {
        store_->inspect(connected, targets, until);
    }

private:
    class session : public adapters::session {
    public:
        session(const std::atomic<bool>& there, std::unique_ptr<adapters::session> inner)
            : there_(&there), inner_(std::move(inner)) {}
        void connect(core::deadline until) override {
            if (!*there_) {
                throw core::error(core::errc::unreachable, "the switch is off");
            }
            inner_->connect(until);
        }
        [[nodiscard]] bool usable() const override { return inner_->usable(); }
        bool alive(core::deadline until) override { return inner_->alive(until); }
        adapters::step_result begin(adapters::work_kind kind, core::deadline until,
                                    std::span<const adapters::operation_identity> ids,
                                    adapters::lookup how, core::arena& memory,
                                    std::vector<adapters::stored_reply>& known) override {
            return inner_->begin(kind, until, ids, how, memory, known);
        }
        adapters::step_result run(const adapters::group& work, core::row_sink& rows,
                                  adapters::outcomes results, core::arena& memory) override {
            return inner_->run(work, rows, results, memory);
        }
        adapters::step_result seal(std::span<const adapters::sealed_reply> replies) override {
            return inner_->seal(replies);
        }
        adapters::commit_result commit() override { return inner_->commit(); }
        void rollback() override { inner_->rollback(); }

    private:
        const std::atomic<bool>* there_;
        std::unique_ptr<adapters::session> inner_;
    };

    std::atomic<bool> there_;
    std::shared_ptr<adapters::adapter> store_;
};

/// A role that this RabbitMQ serves.
inline config::broker_service_settings role_on(const endpoint& rabbitmq, const std::string& tag) {
    remove_queues_after_the_test(rabbitmq, tag);
    config::broker_service_settings service;
    service.host = rabbitmq.host;
    service.port = rabbitmq.port;
    service.vhost = rabbitmq.path.empty() ? "/" : rabbitmq.path;
    service.user = rabbitmq.user;
    service.pass = core::secret{rabbitmq.password};
    service.queue_tag = tag;
    return service;
}

inline client::amqp_client_settings client_settings(const endpoint& rabbitmq,
                                                    const std::string& tag) {
    client::amqp_client_settings how;
    how.amqp.host = rabbitmq.host;
    how.amqp.port = rabbitmq.port;
    how.amqp.vhost = rabbitmq.path.empty() ? "/" : rabbitmq.path;
    how.amqp.user = rabbitmq.user;
    how.amqp.password = core::secret{rabbitmq.password};
    how.queue_tag = tag;
    return how;
}

inline std::unique_ptr<client::client> client_on(const endpoint& rabbitmq, const std::string& tag) {
    return client::make_amqp_client(client_settings(rabbitmq, tag));
}

/// A node with one connection in memory, on a RabbitMQ of the tests, under a queue tag of its own;
/// and a client of it.
class memory_node {
public:
    using change = std::function<void(config::settings&)>;
    explicit memory_node(const endpoint& rabbitmq, const change& changed = {})
        : tag_(unique_name("t") + "_") {
        config::settings settings;
        settings.id.node = "test";
        settings.templates.directory.clear();
        auto service = role_on(rabbitmq, tag_);
        service.instances["mem"] = {.read = 2, .write = 2, .bulk = 0};
        settings.broker_services["app_server"] = service;
        if (changed) {
            changed(settings);
        }
        node_ = std::make_unique<node::node>(std::move(settings));
        node_->add_connection(adapters::make_memory("mem"));
        node_->add_template(items_template, "items.toml");
        node_->start();
        if (!node_->wait_ready(core::deadline::after(std::chrono::seconds{20}))) {
            throw std::runtime_error("the node did not become ready");
        }
        client_ = client_on(rabbitmq, tag_);
    }

    [[nodiscard]] node::node& node() { return *node_; }
    [[nodiscard]] client::client& client() { return *client_; }
    [[nodiscard]] const std::string& tag() const { return tag_; }

private:
    std::string tag_;
    std::unique_ptr<node::node> node_;
    std::unique_ptr<client::client> client_;
};

} // namespace beds::test
