#include "explain.hpp"

#include "factory/bind.hpp"
#include "live.hpp"
#include "node/role_templates.hpp"
#include "print.hpp"

#include <beds/client/request.hpp>
#include <beds/core/arena.hpp>
#include <beds/core/error.hpp>
#include <beds/core/json.hpp>

#include <algorithm>
#include <ostream>

namespace bedsctl {
namespace {

namespace adapters = beds::adapters;
namespace templates = beds::templates;
using beds::core::append_json_string;

void print_text(std::ostream& out, const adapters::explanation& made) {
    // Names of tables may hold anything: control characters do not reach the terminal.
    const auto shown = [](std::string_view text) { return cell_text(beds::core::datum::of(text)); };
    out << shown(made.statement) << "\n\n";
    if (made.plan.empty()) {
        out << "no plan: " << shown(made.no_plan) << '\n';
        return;
    }
    std::vector<std::vector<std::string>> rows;
    for (const auto& step : made.steps) {
        rows.push_back({step.object, step.access, step.index.empty() ? "none" : step.index,
                        step.rows ? std::to_string(*step.rows) : ""});
    }
    if (rows.empty()) {
        out << "nothing is looked up in a table\n";
    } else {
        print_table(out, {"reads", "access", "index", "rows (guessed)"}, std::move(rows));
    }
    for (const auto& warning : made.warnings) {
        out << "warning: " << shown(warning) << '\n';
    }
}

void print_json(std::ostream& out, const templates::template_def& target, std::string_view op,
                std::string_view engine, const adapters::explanation& made) {
    std::string text;
    const auto member = [&](std::string_view name, std::string_view value) {
        text.push_back(text.empty() ? '{' : ',');
        append_json_string(text, name);
        text.push_back(':');
        append_json_string(text, value);
    };
    member("template", target.name);
    member("op", op);
    member("connection", target.connection);
    member("engine", engine);
    member("statement", made.statement);
    text += ",\"values\":" + std::to_string(made.values) + ",\"steps\":[";
    for (std::size_t i = 0; i < made.steps.size(); ++i) {
        const auto& step = made.steps[i];
        text += i == 0 ? "{\"object\":" : ",{\"object\":";
        append_json_string(text, step.object);
        text += ",\"access\":";
        append_json_string(text, step.access);
        text += ",\"index\":";
        if (step.index.empty()) {
            text += "null";
        } else {
            append_json_string(text, step.index);
        }
        if (step.rows) {
            text += ",\"rows\":" + std::to_string(*step.rows);
        }
        text += '}';
    }
    text += "],\"warnings\":[";
    for (std::size_t i = 0; i < made.warnings.size(); ++i) {
        text += i == 0 ? "" : ",";
        append_json_string(text, made.warnings[i]);
    }
    text += ']';
    // One line, as all answers are: the server's JSON is written anew.
    beds::core::arena memory;
    beds::core::json_parser parser{beds::core::json_limits{200}};
    beds::core::datum plan;
    if (!made.plan.empty() && !parser.parse(made.plan, memory, plan)) {
        text += ",\"plan\":";
        beds::core::append_json(text, plan);
    } else {
        text += ",\"plan\":null";
        member("no_plan", made.plan.empty() ? made.no_plan : "the server's plan is no JSON");
    }
    out << text << "}\n";
}

live_database connect_to(const templates::template_def& target,
                         const beds::config::settings& settings, beds::core::deadline until) {
    if (const auto rel = settings.rel_services.find(target.connection);
        rel != settings.rel_services.end()) {
        return connect_live(rel->first, rel->second, until);
    }
    if (const auto rec = settings.rec_services.find(target.connection);
        rec != settings.rec_services.end()) {
        return connect_live(rec->first, rec->second, until);
    }
    throw usage_error("'" + target.connection + "', which template '" + target.name +
                      "' names, is no database of the configuration");
}

} // namespace

exit_code explain(std::ostream& out, std::ostream& err, const beds::config::settings& settings,
                  const call_arguments& asked, format how, beds::core::deadline until) {
    const beds::client::request request{make_operation(asked)};
    const auto loaded = templates::load(beds::node::load_settings_with_connections(settings));
    const auto* target = loaded.templates->find(asked.template_name);
    if (target == nullptr) {
        for (const auto& each : loaded.problems) { // it may be one of those that cannot be read
            err << to_string(each) << '\n';
        }
        throw usage_error("there is no template '" + asked.template_name + "'" +
                          loaded.templates->suggest(asked.template_name));
    }
    beds::core::arena memory;
    const auto viewed = beds::client::view(request, memory);
    const auto& given = viewed.operations.front();
    adapters::bound_operation bound;
    bound.target = target;
    bound.deadline = until;
    bound.call = given.op == beds::core::verb::call ? target->find_call(given.name) : nullptr;
    if (given.op == beds::core::verb::call && bound.call == nullptr) {
        throw usage_error("template '" + target->name + "' has no call '" + asked.op + "'" +
                          suggest_verb(asked.op));
    }
    beds::factory::binder binder{loaded.templates->all()};
    if (const auto refused =
            binder.bind(given, beds::core::machine_clock().system_now(), memory, bound)) {
        err << "bedsctl: " << to_string(refused->code) << ": " << refused->detail << '\n';
        return exit_code::refused;
    }
    const auto database = connect_to(*target, settings, until);
    adapters::explanation made;
    try {
        made = database.adapter->explain(*database.session, bound, until);
    } catch (const beds::core::error& failed) {
        if (failed.code() != beds::core::errc::refused) {
            throw;
        }
        err << "bedsctl: a node would not send it: " << failed.message() << '\n';
        return exit_code::refused;
    }
    if (how == format::json) {
        print_json(out, *target, asked.op, database.adapter->engine_name(), made);
    } else {
        print_text(out, made);
    }
    return exit_code::ok;
}

} // namespace bedsctl
