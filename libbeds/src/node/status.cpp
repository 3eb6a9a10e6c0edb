#include "impl.hpp"

#include <beds/node/topology.hpp>

#include <algorithm>

namespace beds::node {

using namespace std::chrono_literals;

node_status node::impl::status() {
    node_status made;
    {
        const std::lock_guard lock{replacing};
        made.replacement = replacement;
    }
    made.reload = reload_now();
    made.live = started && !stopped;
    std::map<std::string, dependency> databases;
    for (const auto& role : roles) {
        dependency rabbitmq{"rabbitmq " + role.role, true, true, {}, {}};
        const auto own = own_of(role)->registry;
        for (const auto& pool : role.pools) {
            for (const auto& one : pool->brokers()) {
                // Asked first: one that serves again by now is seen as connected.
                const bool counted = !one->being_replaced(); // else the others serve
                auto counters = one->counters();
                auto& database = databases
                                     .try_emplace(pool->connection(),
                                                  dependency{"database " + pool->connection(),
                                                             required(pool->connection()),
                                                             true,
                                                             {},
                                                             {}})
                                     .first->second;
                // Connected, and yet in trouble: RabbitMQ blocks publishers.
                if (auto trouble = one->amqp_trouble();
                    counted && (!counters.amqp_connected || !trouble.empty())) {
                    rabbitmq.ready = false;
                    rabbitmq.trouble = std::move(trouble);
                }
                // And this one may read, and yet nothing can be written.
                if (auto trouble = one->backend_trouble();
                    counted && (!counters.backend_connected || !trouble.empty())) {
                    database.ready = false;
                    database.trouble = std::move(trouble);
                }
                if (counters.since_turn > longest_turn(one->settings(), *own)) {
                    made.live = false;
                    made.stuck.push_back(counters.broker);
                }
                rabbitmq.waited = std::max(rabbitmq.waited, one->amqp_waited());
                database.waited = std::max(database.waited, one->backend_waited());
                made.brokers.push_back(std::move(counters));
            }
        }
        if (!role.pools.empty()) {
            made.dependencies.push_back(std::move(rabbitmq));
        }
    }
    for (auto& [name, database] : databases) {
        made.dependencies.push_back(std::move(database));
    }
    add_mismatches(made.dependencies);
    made.ready = made.live && !stopping &&
                 std::all_of(made.dependencies.begin(), made.dependencies.end(),
                             [](const dependency& one) { return one.ready || !one.required; });
    return made;
}

bool node::impl::required(const std::string& connection) const {
    if (const auto rel = given.rel_services.find(connection); rel != given.rel_services.end()) {
        return rel->second.required;
    }
    if (const auto rec = given.rec_services.find(connection); rec != given.rec_services.end()) {
        return rec->second.required;
    }
    return true;
}

std::chrono::milliseconds node::impl::longest_turn(const brokers::broker_settings& of,
                                                   const templates::registry& own) {
    constexpr std::chrono::milliseconds for_each_template{50};
    return of.amqp.heartbeat * 2 + of.amqp.connect_timeout * 4 + of.factory.connect_timeout * 5 +
           own.all().size() * for_each_template + 120s;
}

std::shared_ptr<const factory::template_set> node::impl::own_of(const role_pools& role) const {
    const std::lock_guard lock{sets};
    return role.own;
}

std::vector<observe::template_traffic> node::impl::traffic() const {
    observe::template_traffic nameless;
    std::map<std::string, observe::template_traffic> by_name;
    for (const auto& role : roles) {
        const auto names = [&] {
            const std::lock_guard lock{sets};
            return role.in_books;
        }();
        std::vector<observe::template_traffic> totals(names.size() + 1);
        for (const auto& pool : role.pools) {
            for (const auto& one : pool->brokers()) {
                one->add_traffic(totals);
            }
        }
        nameless.add(totals.front());
        for (std::size_t i = 1; i < totals.size(); ++i) {
            by_name[names[i - 1]].add(totals[i]);
        }
    }
    std::vector<observe::template_traffic> made{std::move(nameless)};
    for (auto& [name, totals] : by_name) {
        totals.name = name;
        made.push_back(std::move(totals));
    }
    return made;
}

std::vector<amqp::queue_name> node::impl::queues_of(const role_pools& role) {
    std::vector<amqp::queue_name> made;
    for (const auto& pool : role.pools) {
        if (pool->brokers().empty()) {
            continue;
        }
        for (const auto& each : pool->brokers().front()->settings().topology.queues) {
            if (std::find(made.begin(), made.end(), each.name) == made.end()) {
                made.push_back(each.name);
            }
        }
    }
    return made;
}

void node::impl::ask_lengths(const role_pools& role, core::deadline until,
                             std::vector<queue_length>& into) {
    const auto& service = given.broker_services.at(role.role);
    auto found = inspectors.find(role.role);
    if (found == inspectors.end()) {
        auto settings = connection_settings_of(service);
        settings.connection_name =
            (given.id.node.empty() ? config::host_name() : given.id.node) + " queue lengths";
        found = inspectors
                    .emplace(role.role,
                             amqp::publisher_connection{
                                 settings, until, amqp::publisher_options{amqp::confirms::off}})
                    .first;
    }
    for (const auto& name : queues_of(role)) {
        if (const auto status = found->second.inspect(name, until)) {
            into.push_back({role.role, name.str(), status->messages, status->consumers});
        }
    }
}

std::vector<queue_length> node::impl::queue_lengths(core::deadline until) {
    const std::lock_guard lock{inspecting};
    std::vector<queue_length> made;
    for (const auto& role : roles) {
        if (role.pools.empty()) {
            continue;
        }
        const auto before = made.size();
        try {
            try {
                ask_lengths(role, until, made);
            } catch (const core::error&) { // it may have been broken since the last time
                inspectors.erase(role.role);
                made.resize(before);
                ask_lengths(role, until, made);
            }
        } catch (const core::error&) {
            inspectors.erase(role.role);
            made.resize(before); // the brokers say what is wrong with RabbitMQ
        }
    }
    return made;
}

} // namespace beds::node
