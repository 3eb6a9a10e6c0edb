#pragma once

#include "exit_code.hpp"

#include <beds/amqp/topology.hpp>
#include <beds/config/settings.hpp>

#include <iosfwd>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace bedsctl {

enum class topology_form {
    table,
    definitions, ///< what `rabbitmqctl import_definitions` takes
};

struct topology_options {
    topology_form form = topology_form::table;
    std::vector<std::string> applications = {}; ///< NAME or NAME=FILE, for `definitions`
};

/// What RabbitMQ must hold for the service of this configuration. `role`: only this one; empty: all
/// that the node plays. Connects to nothing. Throws usage_error for an unknown role or password
/// file, beds::core::error for a template that is wrong.
exit_code print_topology(std::ostream& out, std::ostream& err,
                         const beds::config::settings& settings, const std::string& role,
                         const topology_options& asked);

/// A RabbitMQ account and what it may do in one vhost, as regular expressions over names.
struct rabbitmq_account {
    std::string name{};
    std::string password_hash{}; ///< empty: the account exists, only its permissions are set
    std::string configure{};
    std::string write{};
    std::string read{};
};

/// The node's own account: what its brokers and `bedsctl` do under its name. `password_hash` is
/// left empty.
rabbitmq_account node_account(const beds::config::broker_service_settings& service,
                              const beds::amqp::topology& of);
/// An application's account: it sends requests and reads its own replies, nothing else.
rabbitmq_account application_account(const beds::config::broker_service_settings& service,
                                     const std::string& name);

/// RabbitMQ's `rabbit_password_hashing_sha256`: base64 of the salt and SHA-256 of salt and
/// password. `salt` has four bytes.
std::string password_hash(std::string_view password, std::string_view salt);

} // namespace bedsctl
