#include "schema.hpp"

#include "node/role_templates.hpp"

#include <beds/core/error.hpp>
#include <beds/core/json.hpp>
#include <beds/templates/registry.hpp>
#ifdef BEDS_WITH_MONGODB
#include <beds/adapters/mongodb.hpp>
#endif

#include <ostream>
#include <set>
#include <string>

namespace bedsctl {

// The files of libbeds/sql; the build makes the source.
extern const std::string_view mariadb_inbox;
extern const std::string_view mariadb_kill;
extern const std::string_view mongodb_inbox;

std::string_view schema_of(std::string_view engine) {
    static const auto mariadb = std::string{mariadb_inbox} + '\n' + std::string{mariadb_kill};
    return engine == "mariadb"   ? std::string_view{mariadb}
           : engine == "mongodb" ? mongodb_inbox
                                 : std::string_view{};
}

#ifdef BEDS_WITH_MONGODB
exit_code print_indexes(std::ostream& out, const beds::config::settings& settings) {
    namespace templates = beds::templates;
    const auto loaded = templates::load(beds::node::load_settings_with_connections(settings));
    if (!loaded.problems.empty()) {
        throw beds::core::error(beds::core::errc::invalid_template,
                                beds::node::joined(loaded.problems, "\n"));
    }
    bool any = false;
    for (const auto& [connection, service] : settings.rec_services) {
        std::string text;
        std::set<std::string> made; // templates may share a collection
        for (const auto& target : loaded.templates->all()) {
            if (target.connection != connection) {
                continue;
            }
            text += "// template " + target.name + '\n';
            for (const auto& command : beds::adapters::mongodb_index_commands(target)) {
                if (made.insert(command).second) {
                    // Dates, decimals and the like are no values of JavaScript.
                    const bool typed = command.find("\"$") != std::string::npos;
                    text += "db.runCommand(" +
                            (typed ? "EJSON.deserialize(" + command + ')' : command) + ");\n";
                }
            }
        }
        if (text.empty()) {
            continue;
        }
        std::string database;
        beds::core::append_json_string(database, service.database);
        out << (any ? "\n" : "") << "// Database " << database << " of connection " << connection
            << ": run by mongosh on its server.\ndb = db.getSiblingDB(" << database << ");\n";
        if (service.inbox) {
            out << "{\n" << mongodb_inbox << "}\n";
        }
        out << text;
        any = true;
    }
    if (!any) {
        out << "// No template of a MongoDB database: nothing is needed.\n";
    }
    return exit_code::ok;
}
#else
exit_code print_indexes(std::ostream&, const beds::config::settings&) {
    throw beds::core::error(beds::core::errc::unsupported,
                            "this bedsctl was built without MongoDB");
}
#endif

} // namespace bedsctl
