#include "role_templates.hpp"

namespace beds::node {

templates::load_settings load_settings_of(const config::settings& from) {
    templates::load_settings how;
    how.directory = from.templates.directory;
    how.direct = from.templates.direct == config::direct_access::deny
                     ? templates::direct_access::deny
                     : templates::direct_access::allow;
    how.wbid = from.id.wbid;
    for (const auto& [role, service] : from.broker_services) {
        how.services.push_back(role);
        if (!service.is_local) {
            how.elsewhere.push_back(role);
        }
    }
    return how;
}

templates::load_settings load_settings_with_connections(const config::settings& from) {
    auto how = load_settings_of(from);
    for (const auto& [name, service] : from.rel_services) {
        how.connections.emplace_back(name, templates::engine::rel);
    }
    for (const auto& [name, service] : from.rec_services) {
        how.connections.emplace_back(name, templates::engine::rec);
    }
    return how;
}

std::shared_ptr<const templates::registry> templates_of(const templates::registry& all,
                                                        std::string_view role) {
    std::vector<templates::template_def> own;
    for (const auto& target : all.all()) {
        if (target.service.empty() || target.service == role) {
            own.push_back(target);
        }
    }
    return std::make_shared<const templates::registry>(std::move(own));
}

std::optional<core::op_class> highest_class(const config::settings& from,
                                            const templates::template_def& of) {
    const auto role = from.broker_services.find(of.service);
    if (role == from.broker_services.end() || !role->second.is_local) {
        return std::nullopt;
    }
    const auto& instances = role->second.instances;
    const auto brokers = instances.find(of.connection);
    if (brokers == instances.end()) {
        return std::nullopt;
    }
    const auto& count = brokers->second;
    return count.bulk > 0    ? std::optional{core::op_class::bulk}
           : count.write > 0 ? std::optional{core::op_class::write}
           : count.read > 0  ? std::optional{core::op_class::read}
                             : std::nullopt;
}

std::string joined(const std::vector<templates::problem>& problems, std::string_view between) {
    std::string text;
    for (const auto& one : problems) {
        text += text.empty() ? "" : between;
        text += templates::to_string(one);
    }
    return text;
}

} // namespace beds::node
