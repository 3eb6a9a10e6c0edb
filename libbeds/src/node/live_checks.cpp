#include "impl.hpp"
#include "role_templates.hpp"

#include <algorithm>

namespace beds::node {

using namespace std::chrono_literals;

std::vector<schema_check::served>
node::impl::served_on(const std::shared_ptr<const templates::registry>& all,
                      const std::string& connection) const {
    std::vector<schema_check::served> made;
    for (const auto& target : all->all()) {
        const auto highest = highest_class(given, target);
        if (highest && target.connection == connection) {
            made.push_back({{all, &target}, *highest});
        }
    }
    return made;
}

void node::impl::start_checks() {
    const auto action = given.templates.on_mismatch;
    if (action == mismatch::ignore) {
        return;
    }
    std::vector<schema_check*> begun;
    for (const auto& one : adapters) {
        if (!one->can().comparison) {
            continue;
        }
        auto all = served_on(registry, one->connection_name());
        const bool now = !all.empty(); // else a reload may bring the first ones
        adapters::session_context context;
        context.name = given.id.node.empty() ? config::host_name() : given.id.node;
        context.supervisor = supervisor.get();
        context.log = log;
        checks.push_back(std::make_unique<schema_check>(one, std::move(all), context));
        if (now) {
            checks.back()->start();
            begun.push_back(checks.back().get());
        }
    }
    if (action == mismatch::warn) {
        return; // nothing depends on what they find
    }
    std::string wrong;
    for (auto* check : begun) {
        wait_for(*check, wrong);
    }
    if (!wrong.empty()) {
        throw core::error(core::errc::invalid_template, wrong);
    }
}

void node::impl::wait_for(schema_check& check, std::string& wrong) {
    const auto begin = std::chrono::steady_clock::now();
    const auto found = check.first();
    ipl_step made;
    made.name = "schema " + check.connection();
    std::string lines;
    std::vector<std::string> names;
    for (const auto& [name, each] : found.wrong) {
        names.push_back(name);
        for (const auto& line : each) {
            lines += (lines.empty() ? "" : "\n") + line;
        }
    }
    if (!found.compared) {
        made.state = step_state::waiting;
        made.detail = "not compared yet: " + found.trouble;
    } else if (given.templates.on_mismatch == mismatch::leave_out) {
        leave_out(check, found, names);
        made.detail = std::to_string(found.templates - names.size()) + " template(s) fit" +
                      (names.empty() ? "" : ", left out " + std::to_string(names.size()));
    } else {
        for (const auto& line : found.own) {
            lines += (lines.empty() ? "" : "\n") + line;
        }
        made.detail = lines.empty() ? std::to_string(found.templates) + " template(s) fit"
                                    : "templates do not fit the database: the log "
                                      "names each";
        made.state = lines.empty() ? step_state::done : step_state::failed;
        wrong += (wrong.empty() || lines.empty() ? "" : "\n") + lines;
    }
    made.took = std::chrono::duration_cast<std::chrono::microseconds>(
        std::chrono::steady_clock::now() - begin);
    log.write(made.state == step_state::failed    ? observe::level::error
              : made.state == step_state::waiting ? observe::level::warning
                                                  : observe::level::info,
              "BEDS_IPL_STEP", "ipl", to_string(made));
    steps.push_back(std::move(made));
}

void node::impl::leave_out(schema_check& check, const schema_check::verdict& found,
                           const std::vector<std::string>& names) {
    for (const auto& [name, lines] : found.wrong) {
        for (const auto& line : lines) {
            log.write(observe::level::warning, "BEDS_TEMPLATE_LEFT_OUT", "ipl", line);
            left_out[check.connection()].push_back(line);
        }
    }
    check.leave_out(names);
    std::vector<templates::template_def> kept;
    for (const auto& each : registry->all()) {
        if (std::find(names.begin(), names.end(), each.name) == names.end()) {
            kept.push_back(each);
        }
    }
    registry = std::make_shared<const templates::registry>(std::move(kept));
}

void node::impl::watch_checks() {
    for (const auto& check : checks) {
        const auto& connection = check->connection();
        check->watch([this, &connection] { return comebacks(connection); },
                     [this, &connection](const schema_check::verdict& found) {
                         withhold(connection, found);
                     });
    }
}

std::uint64_t node::impl::comebacks(const std::string& connection) const {
    std::uint64_t sum = 0;
    for (const auto& role : roles) {
        for (const auto& pool : role.pools) {
            for (const auto& one : pool->brokers()) {
                if (pool->connection() == connection) {
                    const auto connects = one->counters().backend_connects;
                    sum += connects > 1 ? connects - 1 : 0;
                }
            }
        }
    }
    return sum;
}

void node::impl::withhold(const std::string& connection, const schema_check::verdict& found) {
    if (given.templates.on_mismatch == mismatch::warn) {
        return;
    }
    const std::lock_guard lock{sets};
    if (found.generation != generation) {
        return; // it knows other templates: what it says of the new ones comes at once
    }
    for (const auto& role : roles) {
        for (const auto& target : role.own->registry->all()) {
            if (target.connection == connection) {
                role.own->withheld->set(target.name, found.wrong.contains(target.name));
            }
        }
    }
}

bool node::impl::must_fit() const {
    return given.templates.on_mismatch == mismatch::stop ||
           given.templates.on_mismatch == mismatch::leave_out;
}

void node::impl::compare_news(const std::shared_ptr<const templates::registry>& all,
                              core::deadline until, reload_report& made) const {
    if (!must_fit()) {
        return;
    }
    constexpr std::chrono::milliseconds longest = 10s;
    // Bindings and brokers want their time, too.
    const auto limit = core::deadline::after(
        until.is_never() ? longest : std::min(longest, until.remaining_ms() / 2));
    for (const auto& check : checks) {
        auto news = served_on(all, check->connection());
        std::erase_if(news, [&](const schema_check::served& each) {
            return std::none_of(made.changes.begin(), made.changes.end(),
                                [&](const auto& one) { return one.name == each.target->name; });
        });
        if (news.empty()) {
            continue;
        }
        const auto found = check->try_out(news, limit);
        for (const auto& [name, lines] : found.wrong) {
            made.problems.insert(made.problems.end(), lines.begin(), lines.end());
        }
        if (!found.compared) {
            made.warnings.push_back("not compared with the database of '" + check->connection() +
                                    "', that is done when it is there: " + found.trouble);
        }
    }
}

void node::impl::follow_with_checks(const std::shared_ptr<const templates::registry>& all,
                                    const std::vector<templates::change>& changes) {
    std::vector<std::string> names;
    names.reserve(changes.size());
    for (const auto& one : changes) {
        names.push_back(one.name);
    }
    for (const auto& check : checks) {
        check->change(served_on(all, check->connection()), names, generation);
    }
}

void node::impl::add_mismatches(std::vector<dependency>& to) const {
    const auto left_out_now = [&] {
        const std::lock_guard lock{sets};
        return left_out;
    }();
    for (const auto& check : checks) {
        std::vector<std::string> lines;
        if (const auto left = left_out_now.find(check->connection()); left != left_out_now.end()) {
            lines = left->second;
        }
        const auto found = check->last();
        for (const auto& [name, each] : found.wrong) {
            lines.insert(lines.end(), each.begin(), each.end());
        }
        lines.insert(lines.end(), found.own.begin(), found.own.end());
        if (lines.empty()) {
            continue;
        }
        constexpr std::size_t most = 5;
        std::string text;
        for (std::size_t i = 0; i < std::min(lines.size(), most); ++i) {
            text += (text.empty() ? "" : "; ") + lines[i];
        }
        if (lines.size() > most) {
            text += "; and " + std::to_string(lines.size() - most) + " more";
        }
        to.push_back({"schema " + check->connection(),
                      given.templates.on_mismatch == mismatch::stop,
                      false,
                      std::move(text),
                      {}});
    }
}

} // namespace beds::node
