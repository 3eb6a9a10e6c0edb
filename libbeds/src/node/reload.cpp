#include "impl.hpp"
#include "role_templates.hpp"

#include <beds/node/topology.hpp>

#include <algorithm>

namespace beds::node {

using namespace std::chrono_literals;

namespace {

broker_group group_of(const brokers::broker_pool& pool) {
    return {pool.connection(), pool.op_class(), 0, pool.ordered()};
}

} // namespace

std::string_view to_string(reload_result value) {
    switch (value) {
    case reload_result::changed:
        return "changed";
    case reload_result::unchanged:
        return "unchanged";
    case reload_result::refused:
        return "refused";
    }
    return "refused";
}

std::string to_string(const reload_report& value) {
    const auto in_time = " (" + std::to_string(value.took.count() / 1000) + " ms)";
    if (value.result == reload_result::refused) {
        return std::to_string(value.problems.size()) +
               " problem(s): nothing is changed, the templates of before stay in force" + in_time;
    }
    if (value.result == reload_result::unchanged) {
        return "the templates are what they were" + in_time;
    }
    std::string text;
    const auto list = [&](std::string_view what, auto belongs) {
        constexpr std::size_t most = 20; // a log's line has its bounds
        std::string names;
        std::size_t count = 0;
        for (const auto& one : value.changes) {
            if (belongs(one) && ++count <= most) {
                names += (names.empty() ? "" : ", ") + templates::to_string(one);
            }
        }
        if (count > 0) {
            (((text += text.empty() ? "" : "; ") += what) += ": ") += names;
            text += count > most ? " and " + std::to_string(count - most) + " more" : "";
        }
    };
    list("added", [](const templates::change& one) { return !one.before; });
    list("changed", [](const templates::change& one) { return one.before && one.after; });
    list("removed", [](const templates::change& one) { return !one.after; });
    text += "; " + std::to_string(value.following) + " of " + std::to_string(value.brokers) +
            " broker(s) work by them";
    if (value.following < value.brokers) {
        text += ", the others as soon as their batches end";
    }
    return text + in_time;
}

reload_report node::impl::reload(core::deadline until) {
    const auto began = std::chrono::steady_clock::now();
    reload_report made;
    try {
        made = try_reload(until);
    } catch (const std::exception& failed) { // of the file system, before anything changed
        made.problems = {failed.what()};
    }
    made.took = std::chrono::duration_cast<std::chrono::microseconds>(
        std::chrono::steady_clock::now() - began);
    for (const auto& one : made.problems) {
        log.write(observe::level::error, "BEDS_RELOAD_PROBLEM", "node", one);
    }
    for (const auto& one : made.warnings) {
        log.write(observe::level::warning, "BEDS_RELOAD_WARNING", "node", one);
    }
    const bool refused = made.result == reload_result::refused;
    if (refused) {
        log.write(observe::level::error, "BEDS_RELOAD_REFUSED", "node", to_string(made));
    } else {
        log.write(observe::level::info, "BEDS_RELOADED", "node", to_string(made));
    }
    const std::lock_guard lock{sets};
    ++(refused                                   ? reloads.refused
       : made.result == reload_result::unchanged ? reloads.unchanged
                                                 : reloads.changed);
    reloads.at = std::chrono::system_clock::now();
    reloads.last = made;
    return made;
}

reload_report node::impl::try_reload(core::deadline until) {
    reload_report made;
    std::unique_lock one_at_a_time{reloading, std::defer_lock};
    // Not a timed mutex: the thread sanitizer does not see how it waits by the steady clock.
    while (!one_at_a_time.try_lock()) {
        if (until.expired()) {
            made.problems = {"another reload is under way"};
            return made;
        }
        std::this_thread::sleep_for(1ms);
    }
    if (!started || stopping) {
        made.problems = {"the node does not run"};
        return made;
    }
    const auto all = read_again(made.problems);
    if (all == nullptr) {
        return made;
    }
    made.changes = templates::compare(*registry, *all);
    find_what_needs_a_restart(*registry, *all, made.changes, made.problems);
    if (!made.problems.empty()) {
        return made;
    }
    if (made.changes.empty()) {
        made.result = reload_result::unchanged;
        return made;
    }
    compare_news(all, until, made);
    if (!made.problems.empty()) {
        return made;
    }
    const auto number = generation + 1;
    std::vector<next_set> next;
    for (auto& role : roles) {
        if (auto set = next_for(role, *all, number)) {
            next.push_back(std::move(*set));
        }
    }
    bind_added(next, until, made);
    if (!made.problems.empty()) {
        return made;
    }
    // From here on nothing can fail.
    change_over(next, all, number);
    let_rows_go();
    follow_with_checks(all, made.changes);
    wait_for_brokers(next, until, made);
    made.result = reload_result::changed;
    return made;
}

std::shared_ptr<const templates::registry>
node::impl::read_again(std::vector<std::string>& problems) {
    std::vector<templates::problem> found;
    auto all = read_templates(found);
    for (const auto& one : found) {
        problems.push_back(templates::to_string(one));
    }
    if (!problems.empty()) {
        return nullptr;
    }
    try {
        return std::make_shared<const templates::registry>(std::move(all));
    } catch (const core::error& twice) {
        problems.push_back(twice.message());
        return nullptr;
    }
}

bool node::impl::works_on(const templates::template_def& target) const {
    return std::any_of(roles.begin(), roles.end(), [&](const role_pools& role) {
        return (target.service.empty() || target.service == role.role) &&
               std::any_of(role.pools.begin(), role.pools.end(), [&](const auto& pool) {
                   return pool->connection() == target.connection;
               });
    });
}

void node::impl::find_what_needs_a_restart(const templates::registry& before,
                                           const templates::registry& after,
                                           const std::vector<templates::change>& changes,
                                           std::vector<std::string>& problems) const {
    for (const auto& one : changes) {
        const auto* old = before.find(one.name);
        const auto* now = after.find(one.name);
        if (now == nullptr) {
            continue;
        }
        const auto complain = [&](const std::string& why) {
            problems.push_back(
                templates::to_string(templates::problem{now->file, 0, "template.connection", why}));
        };
        if (old != nullptr && old->connection != now->connection) {
            complain("template '" + one.name + "' moves from connection '" + old->connection +
                     "' to '" + now->connection +
                     "': that takes a restart, because writes that are sent again would be "
                     "done again there");
        } else if (const auto was = old != nullptr ? old->order_by : std::string{};
                   was != now->order_by) {
            const auto what = was.empty() ? "' is ordered now, by '" + now->order_by + '\''
                              : now->order_by.empty() ? "' is not ordered any more"
                                                      : "' is ordered by '" + now->order_by +
                                                            "' now and was by '" + was + '\'';
            problems.push_back(templates::to_string(templates::problem{
                now->file, now->line_of("template.order_by"), "template.order_by",
                "template '" + one.name + what +
                    ": that takes a restart, because what was published before must be done "
                    "before"}));
        } else if (old == nullptr && !works_on(*now)) {
            complain("template '" + one.name + "' is new on connection '" + now->connection +
                     "', for which this node has no brokers: broker_services.*.instances and "
                     "a restart");
        }
    }
}

void node::impl::bind(const role_pools& role, const templates::registry& news,
                      core::deadline until) const {
    const auto& service = given.broker_services.at(role.role);
    amqp::topology wanted;
    for (const auto& pool : role.pools) {
        wanted += broker_topology(service, news, group_of(*pool));
    }
    wanted.exchanges.clear(); // are there: brokers have declared them
    wanted.queues.clear();
    auto settings = connection_settings_of(service);
    settings.connection_name =
        (given.id.node.empty() ? config::host_name() : given.id.node) + " new templates";
    amqp::publisher_connection through{settings, until,
                                       amqp::publisher_options{amqp::confirms::off}};
    through.declare(wanted, amqp::declare_mode::active, until);
    through.close(until);
}

std::optional<node::impl::next_set>
node::impl::next_for(role_pools& role, const templates::registry& all, std::uint64_t number) const {
    const auto& before = *role.own;
    const auto own = templates_of(all, role.role);
    const auto changes = templates::compare(*before.registry, *own);
    if (changes.empty()) {
        return std::nullopt;
    }
    next_set made{.role = &role, .in_books = role.in_books};
    auto set = std::make_shared<factory::template_set>();
    set->registry = own;
    set->withheld = std::make_shared<factory::withheld_templates>(own);
    set->generation = number;
    set->removed = before.removed;
    for (const auto& one : changes) {
        if (!one.after) {
            set->removed.insert(one.name);
        }
    }
    for (const auto& target : own->all()) {
        const auto changed = std::find_if(changes.begin(), changes.end(),
                                          [&](const auto& one) { return one.name == target.name; });
        const auto* old = before.registry->find(target.name);
        const auto position =
            old == nullptr ? 0 : static_cast<std::size_t>(old - before.registry->all().data());
        set->since.push_back(changed != changes.end() ? number
                             : before.since.empty()   ? 0
                                                      : before.since[position]);
        if (old == nullptr) {
            made.added.push_back(target);
        }
        set->removed.erase(target.name);
        auto place = std::find(made.in_books.begin(), made.in_books.end(), target.name);
        if (place == made.in_books.end()) {
            place = made.in_books.insert(place, target.name);
        }
        set->slots.push_back(static_cast<observe::ledger::slot>(place - made.in_books.begin() + 1));
    }
    made.set = std::move(set);
    for (const auto& pool : role.pools) {
        made.topologies.push_back(
            broker_topology(given.broker_services.at(role.role), *own, group_of(*pool)));
    }
    return made;
}

void node::impl::bind_added(const std::vector<next_set>& next, core::deadline until,
                            reload_report& made) {
    for (const auto& one : next) {
        if (one.added.empty() || one.role->pools.empty()) {
            continue;
        }
        if (given.broker_services.at(one.role->role).declare == config::declare_mode::passive) {
            made.warnings.push_back(
                "broker_services." + one.role->role +
                ".declare = \"passive\": the bindings of new templates are the operator's "
                "(bedsctl topology prints them)");
            continue;
        }
        try {
            bind(*one.role, templates::registry{one.added}, until);
        } catch (const core::error& failed) {
            made.problems.push_back("new templates cannot be bound in RabbitMQ of " +
                                    one.role->role + ": " + failed.message());
        }
    }
}

void node::impl::withhold_again(const factory::template_set& before,
                                const factory::template_set& after) {
    const auto all = after.registry->all();
    for (std::size_t i = 0; i < all.size(); ++i) {
        const auto* old = before.registry->find(all[i].name);
        if (after.since[i] != after.generation && old != nullptr) {
            after.withheld->set(all[i].name, before.withheld->holds(*old));
        }
    }
}

void node::impl::change_over(std::vector<next_set>& next,
                             const std::shared_ptr<const templates::registry>& all,
                             std::uint64_t number) {
    {
        const std::lock_guard lock{sets};
        generation = number;
        registry = all;
        left_out.clear();
        for (auto& one : next) {
            withhold_again(*one.role->own, *one.set);
            one.role->own = one.set;
            one.role->in_books = std::move(one.in_books);
        }
    }
    for (const auto& one : next) {
        for (std::size_t i = 0; i < one.role->pools.size(); ++i) {
            for (const auto& broker : one.role->pools[i]->brokers()) {
                broker->change_templates(one.set, one.topologies[i]);
            }
        }
    }
}

void node::impl::wait_for_brokers(const std::vector<next_set>& next, core::deadline until,
                                  reload_report& made) const {
    for (;;) {
        made.brokers = made.following = 0;
        for (const auto& one : next) {
            count_following(*one.role, one.set->generation, made);
        }
        if (made.following == made.brokers || until.expired()) {
            return;
        }
        std::this_thread::sleep_for(1ms);
    }
}

void node::impl::count_following(const role_pools& role, std::uint64_t number,
                                 reload_report& into) {
    for (const auto& pool : role.pools) {
        for (const auto& broker : pool->brokers()) {
            ++into.brokers;
            // One that is stopped takes them before its first batch, should it be started anew.
            into.following += broker->templates_generation() >= number ||
                                      broker->state() == brokers::broker_state::stopped
                                  ? 1U
                                  : 0U;
        }
    }
}

reload_status node::impl::reload_now() const {
    reload_status made;
    {
        const std::lock_guard lock{sets};
        made = reloads;
    }
    if (made.last.following < made.last.brokers) {
        reload_report now;
        for (const auto& role : roles) {
            const auto own = own_of(role);
            if (own->generation > 0) {
                count_following(role, own->generation, now);
            }
        }
        made.last.following =
            made.last.brokers - std::min(made.last.brokers, now.brokers - now.following);
    }
    return made;
}

} // namespace beds::node
