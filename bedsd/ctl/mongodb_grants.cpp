#include "mongodb_grants.hpp"

#include "node/role_templates.hpp"

#include <beds/core/error.hpp>
#include <beds/core/json.hpp>

#include <boost/json.hpp>

#include <algorithm>
#include <ostream>
#include <set>
#include <string_view>

namespace bedsctl {
namespace {

namespace json = boost::json;
namespace templates = beds::templates;

/// Collects what several templates need of one collection.
class needs {
public:
    void of(const std::string& collection, const std::set<std::string>& actions,
            const std::string& who) {
        auto at = std::find_if(made_.begin(), made_.end(),
                               [&](const auto& each) { return each.collection == collection; });
        if (at == made_.end()) {
            at = made_.insert(made_.end(), mongodb_right{collection, {}, {}});
        }
        for (const auto& action : actions) {
            at->actions.insert(action);
        }
        if (std::find(at->why.begin(), at->why.end(), who) == at->why.end()) {
            at->why.push_back(who);
        }
    }
    [[nodiscard]] std::vector<mongodb_right> take() { return std::move(made_); }

private:
    std::vector<mongodb_right> made_;
};

/// What the stages of an aggregation read beside their own collection; templates have none that
/// write.
void add_stages(const json::value& stages, needs& to, const std::string& who) {
    const auto text = [](const json::object& of, std::string_view name) {
        const auto* found = of.if_contains(name);
        return found != nullptr && found->is_string() ? std::string{found->get_string()}
                                                      : std::string{};
    };
    const auto reads = [&](const std::string& collection) {
        if (!collection.empty()) {
            to.of(collection, {"find"}, who);
        }
    };
    if (!stages.is_array()) {
        return;
    }
    for (const auto& stage : stages.get_array()) {
        if (!stage.is_object()) {
            continue;
        }
        for (const auto& [name, body] : stage.get_object()) {
            if (body.is_string()) {
                if (name == "$unionWith") {
                    reads(std::string{body.get_string()});
                }
                continue;
            }
            if (!body.is_object()) {
                continue;
            }
            const auto& members = body.get_object();
            if (name == "$lookup" || name == "$graphLookup") {
                reads(text(members, "from"));
            } else if (name == "$unionWith") {
                reads(text(members, "coll"));
            } else if (name == "$facet") {
                for (const auto& [facet, inner] : members) {
                    add_stages(inner, to, who);
                }
            }
            if (const auto* inner = members.if_contains("pipeline")) {
                add_stages(*inner, to, who);
            }
        }
    }
}

std::string in_quotes(std::string_view text) {
    std::string made;
    beds::core::append_json_string(made, text);
    return made;
}

} // namespace

std::vector<mongodb_right> mongodb_rights_of(const templates::registry& of,
                                             const std::string& connection,
                                             const beds::config::rec_service_settings& service,
                                             const class_of_template& highest) {
    needs made;
    bool any = false;
    bool writes = false;
    for (const auto& target : of.all()) {
        if (target.connection != connection) {
            continue;
        }
        any = true;
        made.of(target.read_object(), {"find"}, target.name);
        const auto most = highest ? highest(target) : beds::core::op_class::bulk;
        if (most != beds::core::op_class::read) {
            writes = true;
            made.of(target.object, {"find", "insert", "update", "listIndexes"}, target.name);
            if (!target.soft_delete) {
                made.of(target.object, {"remove"}, target.name);
            }
        }
        for (const auto& each : target.calls) {
            if (each.pipeline.empty() || each.op_class > most) {
                continue;
            }
            const auto who = target.name + '.' + each.name;
            made.of(target.read_object(), {"find"}, who);
            boost::system::error_code wrong;
            const auto stages = json::parse(each.pipeline, wrong);
            if (!wrong) {
                add_stages(stages, made, who);
            }
        }
    }
    if (service.inbox && writes) {
        made.of("beds_inbox", {"find", "insert", "update", "remove", "listIndexes"},
                "so that a write happens once");
    }
    auto rights = made.take();
    if (any) {
        rights.push_back({"", {"listCollections"}, {"to compare templates with what is there"}});
    }
    return rights;
}

exit_code print_mongodb_grants(std::ostream& out, const beds::config::settings& settings,
                               const std::string& account) {
    const auto loaded = templates::load(beds::node::load_settings_with_connections(settings));
    if (!loaded.problems.empty()) {
        throw beds::core::error(beds::core::errc::invalid_template,
                                beds::node::joined(loaded.problems, "\n"));
    }
    bool first = true;
    for (const auto& [name, service] : settings.rec_services) {
        const auto rights = mongodb_rights_of(
            *loaded.templates, name, service, [&](const templates::template_def& of) {
                // Of a database that this node does not serve, another one may ask for everything.
                return beds::node::highest_class(settings, of).value_or(beds::core::op_class::bulk);
            });
        if (rights.empty()) {
            continue;
        }
        const auto database = in_quotes(service.database);
        const auto role = in_quotes("beds_" + name);
        out << (first ? "" : "\n") << "// The least that the node needs in database " << database
            << " of connection " << name << ": run by mongosh on its server.\n"
            << "db = db.getSiblingDB(" << database << ");\n{\nconst privileges = [\n";
        first = false;
        for (const auto& each : rights) {
            std::string why;
            for (const auto& one : each.why) {
                why += (why.empty() ? "" : ", ") + one;
            }
            std::string actions;
            for (const auto& one : each.actions) {
                actions += (actions.empty() ? "" : ", ") + in_quotes(one);
            }
            out << "  // " << why << "\n  { resource: { db: " << database
                << ", collection: " << in_quotes(each.collection) << " }, actions: [" << actions
                << "] },\n";
        }
        out << "];\nif (db.getRole(" << role << ")) {\n  db.updateRole(" << role
            << ", { privileges });\n} else {\n  db.createRole({ role: " << role
            << ", privileges, roles: [] });\n}\n}\n";
        const auto user = account.empty() ? service.user : account;
        out << (user.empty() ? "// With the user of the connection's URI, or --account USER:\n// "
                             : "")
            << "db.getSiblingDB(" << in_quotes(service.auth_source) << ").grantRolesToUser("
            << in_quotes(user.empty() ? "USER" : user) << ", [{ role: " << role
            << ", db: " << database << " }]);\n";
    }
    if (first) {
        out << "// No template of a MongoDB database: nothing is needed.\n";
    }
    return exit_code::ok;
}

} // namespace bedsctl
