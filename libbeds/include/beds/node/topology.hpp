#pragma once

#include <beds/amqp/topology.hpp>
#include <beds/config/settings.hpp>
#include <beds/templates/registry.hpp>

#include <map>
#include <string>

namespace beds::node {

/// What the brokers of one connection and class declare whenever they connect: the service's own
/// exchanges and queues too, so that whatever an operator deletes comes back. `templates` are those
/// of the role.
amqp::topology broker_topology(const config::broker_service_settings& service,
                               const templates::registry& templates, const std::string& connection,
                               core::op_class op_class);

/// What RabbitMQ must hold before a node with these settings serves, by role: of the roles that it
/// plays and that have brokers, each object once. With `declare = "passive"` somebody else makes
/// it. Reads the templates, connects to nothing.
///
/// Throws core::error(invalid_template) as node::start does, except for what only an engine can
/// tell about a template.
std::map<std::string, amqp::topology> topologies(const config::settings& settings);

} // namespace beds::node
