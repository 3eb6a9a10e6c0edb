#include "grants.hpp"

#include "arguments.hpp"
#include "node/role_templates.hpp"
#include "sql_names.hpp"

#include <beds/core/error.hpp>

#include <algorithm>
#include <map>
#include <ostream>
#include <set>
#include <string_view>

namespace bedsctl {
namespace {

namespace templates = beds::templates;

std::string in_quotes(const std::string& text) {
    std::string made = "'";
    for (const char c : text) {
        made += c == '\'' || c == '\\' ? std::string{'\\', c} : std::string(1, c);
    }
    return made + '\'';
}

std::string in_database(const std::string& name, const std::string& database) {
    return name.find('.') == std::string::npos ? in_backticks(database) + '.' + in_backticks(name)
                                               : in_statement(name);
}

/// Collects what several templates need of one object.
class needs {
public:
    void of(const std::string& object, const std::set<std::string>& privileges,
            const std::string& who) {
        auto& one = find(object);
        one.privileges.insert(privileges.begin(), privileges.end());
        if (std::find(one.who.begin(), one.who.end(), who) == one.who.end()) {
            one.who.push_back(who);
        }
    }
    [[nodiscard]] bool empty() const { return entries_.empty(); }
    void append_to(std::vector<grant>& list, const std::string& kind) const {
        for (const auto& each : entries_) {
            grant made;
            // In the order in which one speaks of them.
            for (const auto* privilege :
                 {"SELECT", "INSERT", "UPDATE", "DELETE", "CREATE", "EXECUTE"}) {
                if (each.privileges.contains(privilege)) {
                    made.privileges +=
                        (made.privileges.empty() ? "" : ", ") + std::string{privilege};
                }
            }
            made.on = kind + each.object;
            for (const auto& who : each.who) {
                made.why += (made.why.empty() ? "" : ", ") + who;
            }
            list.push_back(std::move(made));
        }
    }

private:
    struct entry {
        std::string object;
        std::set<std::string> privileges;
        std::vector<std::string> who;
    };
    entry& find(const std::string& object) {
        const auto at = std::find_if(entries_.begin(), entries_.end(),
                                     [&](const entry& each) { return each.object == object; });
        return at != entries_.end() ? *at : entries_.emplace_back(entry{object, {}, {}});
    }
    std::vector<entry> entries_;
};

} // namespace

std::vector<grant> grants_of(const templates::registry& of, const std::string& connection,
                             const beds::config::rel_service_settings& service,
                             const class_of_template& highest) {
    needs objects;
    needs procedures;
    needs functions;
    bool writes = false;
    bool writing_procedures = false;
    const auto& database = service.database;
    for (const auto& target : of.all()) {
        if (target.connection != connection) {
            continue;
        }
        objects.of(in_database(target.read_object(), database), {"SELECT"}, target.name);
        const auto most = highest ? highest(target) : beds::core::op_class::bulk;
        const auto write = [&](const std::string& procedure, const char* privilege) {
            writes = true;
            if (procedure.empty()) {
                // What is updated and deleted is looked for, and what was inserted is asked for.
                objects.of(in_database(target.object, database), {"SELECT", privilege},
                           target.name);
            } else {
                writing_procedures = true;
                procedures.of(in_database(procedure, database), {"EXECUTE"}, target.name);
            }
        };
        if (most != beds::core::op_class::read) {
            write(target.write.insert, "INSERT");
            write(target.write.update, "UPDATE");
            if (!target.soft_delete) {
                write(target.write.remove, "DELETE");
            }
            if (target.has_rows_that_expire()) {
                objects.of(in_database(target.object, database), {"SELECT", "DELETE"}, target.name);
            }
        }
        for (const auto& each : target.calls) {
            if (!each.routine.empty() && each.op_class <= most) {
                writing_procedures |= each.op_class != beds::core::op_class::read;
                (each.is_function() ? functions : procedures)
                    .of(in_database(std::string{each.routine_name()}, database), {"EXECUTE"},
                        target.name + '.' + each.name);
            }
        }
    }
    std::vector<grant> made;
    objects.append_to(made, "");
    procedures.append_to(made, "PROCEDURE ");
    functions.append_to(made, "FUNCTION ");
    needs own;
    if (service.inbox && (writes || writing_procedures)) {
        std::set<std::string> inbox{"SELECT", "INSERT", "DELETE"};
        if (service.create_tables) {
            inbox.insert("CREATE");
        }
        own.of(in_database("beds_inbox", database), inbox, "so that a write happens once");
    }
    own.append_to(made, "");
    if (!procedures.empty() || !functions.empty()) {
        made.push_back({"EXECUTE", "PROCEDURE " + in_database("beds_kill", database),
                        "late procedures of others end by it"});
        made.push_back(
            {"SELECT", "`mysql`.`proc`",
             "to see that procedures do not commit, and that reads do not write; without "
             "it they run alone and are at_least_once. MySQL: SHOW_ROUTINE ON *.*"});
    }
    return made;
}

bool is_account(std::string_view text) {
    // 'user'@'host', without a quote or a backslash inside: it stands in statements.
    const auto quoted = [](std::string_view part) {
        return part.size() >= 2 && part.front() == '\'' && part.back() == '\'' &&
               part.substr(1, part.size() - 2).find_first_of("'\\") == std::string_view::npos;
    };
    const auto at = text.find("'@'");
    return at != std::string_view::npos && quoted(text.substr(0, at + 1)) &&
           quoted(text.substr(at + 2));
}

exit_code print_grants(std::ostream& out, const beds::config::settings& settings,
                       const std::string& account) {
    if (!account.empty() && !is_account(account)) {
        throw usage_error("--account is written like \"'beds'@'10.0.0.%'\", not: " + account);
    }
    const auto loaded = templates::load(beds::node::load_settings_with_connections(settings));
    if (!loaded.problems.empty()) {
        throw beds::core::error(beds::core::errc::invalid_template,
                                beds::node::joined(loaded.problems, "\n"));
    }
    bool first = true;
    for (const auto& [name, service] : settings.rel_services) {
        const auto grants =
            grants_of(*loaded.templates, name, service, [&](const templates::template_def& of) {
                // Of a database that this node does not serve, another one may ask for everything.
                return beds::node::highest_class(settings, of).value_or(beds::core::op_class::bulk);
            });
        if (grants.empty()) {
            continue;
        }
        const auto to = account.empty() ? in_quotes(service.user) + "@'%'" : account;
        out << (first ? "" : "\n") << "-- The least that the node needs in database '"
            << service.database << "' (connection " << name << ").\n";
        first = false;
        for (const auto& each : grants) {
            out << "-- " << each.why << '\n'
                << "GRANT " << each.privileges << " ON " << each.on << " TO " << to << ";\n";
        }
    }
    if (first) {
        out << "-- No template of a MariaDB database: nothing is needed.\n";
    }
    return exit_code::ok;
}

} // namespace bedsctl
