#pragma once

#include <beds/amqp/settings.hpp>
#include <beds/amqp/topology.hpp>
#include <beds/config/settings.hpp>
#include <beds/templates/registry.hpp>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace beds::node {

/// How this service's RabbitMQ is reached.
amqp::connection_settings connection_settings_of(const config::broker_service_settings& service);

/// Brokers that serve one queue, or the lanes of a connection's templates with `order_by`.
struct broker_group {
    std::string connection{};
    core::op_class op_class{};
    std::uint32_t size = 0;
    bool ordered = false; ///< the lanes; there may be none
};

/// Those that the node runs for this service; none of them is empty.
std::vector<broker_group> broker_groups(const config::broker_service_settings& service);

/// What the brokers of one connection and class (`size` is not looked at) declare whenever they
/// connect: the service's own exchanges and queues too, so that whatever an operator deletes comes
/// back. `templates` are those of the role.
amqp::topology broker_topology(const config::broker_service_settings& service,
                               const templates::registry& templates, const broker_group& of);

/// What RabbitMQ must hold before a node with these settings serves, by role: of the roles that it
/// plays and that have brokers, each object once. With `declare = "passive"` somebody else makes
/// it. Reads the templates, connects to nothing.
///
/// Throws core::error(invalid_template) as node::start does, except for what only an engine can
/// tell about a template.
std::map<std::string, amqp::topology> topologies(const config::settings& settings);

} // namespace beds::node
