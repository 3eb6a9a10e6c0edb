#pragma once

#include <beds/node/node.hpp>

#include <span>
#include <string>

/// What operators see of a node. The texts name templates, servers and queues, and hold no data,
/// no principal and no secret.
namespace beds::admin {

/// What the pages are made of.
struct view {
    node::node_status status{};
    std::vector<observe::template_traffic> traffic{};
    std::vector<node::queue_length> queues{};
};

/// Prometheus' text format, version 0.0.4. Labels take their values from configuration and
/// templates alone, never from requests.
std::string metrics_text(const view& of);

/// `{"live":true,"stuck":[]}`
std::string liveness_json(const node::node_status& of);

/// `{"ready":false,"dependencies":[{"name":"database rel","required":true,"ready":false,
/// "reason":"…"},…]}`
std::string readiness_json(const node::node_status& of);

/// Both of them and what happened to operations by template, for programs and `bedsctl status`.
std::string status_json(const view& of);

} // namespace beds::admin
