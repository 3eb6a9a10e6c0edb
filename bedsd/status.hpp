#pragma once

#include <beds/node/node.hpp>

#include <string>

namespace bedsd {

/// `ready`, `live, not ready: rabbitmq app_server: connection refused; …`, `stuck: rel.read/0` or
/// `stopped`: what
/// `systemctl status` shows. Optional dependencies that are away are named after `ready`.
std::string status_text(const beds::node::node_status& status);

/// The required dependencies that are away, or "".
std::string missing_text(const beds::node::node_status& status);

} // namespace bedsd
