#pragma once

#include "support/servers.hpp"

#include <beds/adapters/memory.hpp>
#include <beds/client/amqp_client.hpp>
#include <beds/node/node.hpp>

#include <memory>
#include <string>

namespace beds::test {

inline constexpr std::string_view items_template = R"toml(
[template]
name       = "items"
store      = "rel"
connection = "mem"
object     = "items"
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

/// A node with one connection in memory, on a RabbitMQ of the tests, under a queue tag of its own;
/// and a client of it.
class memory_node {
public:
    explicit memory_node(const endpoint& rabbitmq, std::string tag = unique_name("t") + "_")
        : tag_(std::move(tag)) {
        config::settings settings;
        settings.id.node = "test";
        settings.templates.directory.clear();
        config::broker_service_settings service;
        service.host = rabbitmq.host;
        service.port = rabbitmq.port;
        service.vhost = rabbitmq.path.empty() ? "/" : rabbitmq.path;
        service.user = rabbitmq.user;
        service.pass = core::secret{rabbitmq.password};
        service.queue_tag = tag_;
        service.instances["mem"] = {.read = 2, .write = 2, .bulk = 0};
        settings.broker_services["app_server"] = service;
        node_ = std::make_unique<node::node>(std::move(settings));
        node_->add_connection(adapters::make_memory("mem"));
        node_->add_template(items_template, "items.toml");
        node_->start();

        client::amqp_client_settings how;
        how.amqp.host = rabbitmq.host;
        how.amqp.port = rabbitmq.port;
        how.amqp.vhost = service.vhost;
        how.amqp.user = rabbitmq.user;
        how.amqp.password = core::secret{rabbitmq.password};
        how.queue_tag = tag_;
        client_ = client::make_amqp_client(how);
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
