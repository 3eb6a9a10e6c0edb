#include "role_templates.hpp"

#include <beds/core/error.hpp>
#include <beds/node/topology.hpp>

#include <algorithm>

namespace beds::node {
namespace {

template <class Value>
void keep_each_once(std::vector<Value>& values) {
    std::vector<Value> kept;
    for (auto& one : values) {
        if (std::find(kept.begin(), kept.end(), one) == kept.end()) {
            kept.push_back(std::move(one));
        }
    }
    values = std::move(kept);
}

} // namespace

amqp::connection_settings connection_settings_of(const config::broker_service_settings& service) {
    amqp::connection_settings made;
    made.host = service.host;
    made.port = service.port;
    made.vhost = service.vhost;
    made.user = service.user;
    made.password = service.pass;
    made.heartbeat = service.heartbeat;
    made.connect_timeout = service.connect_timeout;
    if (service.tls.enabled) {
        made.tls.mode = amqp::tls_mode::on;
        made.tls.ca_file = service.tls.ca.string();
        made.tls.cert_file = service.tls.cert.string();
        made.tls.key_file = service.tls.key.string();
        made.tls.verification = service.tls.verify ? amqp::tls_verification::full
                                                   : amqp::tls_verification::dangerously_off;
    }
    return made;
}

std::vector<broker_group> broker_groups(const config::broker_service_settings& service) {
    std::vector<broker_group> made;
    for (const auto& [connection, counts] : service.instances) {
        for (const auto& [op_class, size] : {std::pair{core::op_class::read, counts.read},
                                             std::pair{core::op_class::write, counts.write},
                                             std::pair{core::op_class::bulk, counts.bulk}}) {
            if (size > 0) {
                made.push_back({connection, op_class, size});
            }
        }
        if (counts.write > 0 && counts.order > 0) {
            made.push_back({connection, core::op_class::write, counts.order, true});
        }
    }
    return made;
}

amqp::topology broker_topology(const config::broker_service_settings& service,
                               const templates::registry& templates, const broker_group& of) {
    const auto& [connection, op_class, size, ordered] = of;
    amqp::queue_policy policy;
    policy.max_length = service.max_queue_length;
    policy.delivery_limit = service.delivery_limit;
    policy.write_queues = service.write_queues == config::queue_kind::classic
                              ? amqp::queue_type::classic
                              : amqp::queue_type::quorum;
    policy.events = service.strict_route ? amqp::exchange_kind::topic : amqp::exchange_kind::direct;
    auto made = amqp::service_topology(service.queue_tag, policy);
    if (ordered) {
        for (const auto& target : templates.all()) {
            if (target.connection == connection && !target.order_by.empty()) {
                made += amqp::lane_topology(service.queue_tag, target.name, policy);
            }
        }
        return made;
    }
    made += amqp::request_topology(service.queue_tag, connection, op_class, policy);
    for (const auto& target : templates.all()) {
        if (target.connection != connection) {
            continue;
        }
        made.bindings.push_back(
            amqp::template_binding(service.queue_tag, target.name, connection, op_class));
        // Where it may have been before: two databases must not both get its requests.
        for (const auto& [other, brokers] : service.instances) {
            if (other != connection) {
                made.stale.push_back(
                    amqp::template_binding(service.queue_tag, target.name, other, op_class));
            }
        }
    }
    return made;
}

std::map<std::string, amqp::topology> topologies(const config::settings& settings) {
    const auto loaded = templates::load(load_settings_with_connections(settings));
    if (!loaded.problems.empty() &&
        settings.templates.on_mismatch != config::mismatch_action::leave_out) {
        throw core::error(core::errc::invalid_template, joined(loaded.problems, "\n"));
    }
    std::map<std::string, amqp::topology> made;
    for (const auto& [role, service] : settings.broker_services) {
        if (!service.is_local) {
            continue;
        }
        const auto own = templates_of(*loaded.templates, role);
        amqp::topology all;
        for (const auto& group : broker_groups(service)) {
            all += broker_topology(service, *own, group);
        }
        keep_each_once(all.exchanges);
        keep_each_once(all.queues);
        keep_each_once(all.bindings);
        keep_each_once(all.routes);
        all.stale.clear(); // of what a node that ran before left behind
        if (!all.queues.empty()) {
            made.emplace(role, std::move(all));
        }
    }
    return made;
}

} // namespace beds::node
