#include "scaffold.hpp"

#include "arguments.hpp"
#include "live.hpp"
#include "procedures.hpp"

#include <beds/core/error.hpp>
#include <beds/templates/registry.hpp>
#include <beds/templates/writer.hpp>

#include <algorithm>
#include <fstream>
#include <ostream>
#include <set>
#include <tuple>

namespace bedsctl {
namespace {

namespace templates = beds::templates;

/// By name, or the one that is meant when none is given; with the store that it is.
std::pair<std::string, templates::engine> choose(const beds::config::settings& settings,
                                                 const std::string& wanted) {
    std::vector<std::string> names;
    std::string list;
    const auto is_it = [&](const std::string& name) {
        names.push_back(name);
        list.append(list.empty() ? "" : ", ").append(name);
        return name == wanted;
    };
    for (const auto& [name, service] : settings.rel_services) {
        if (is_it(name)) {
            return {name, templates::engine::rel};
        }
    }
    for (const auto& [name, service] : settings.rec_services) {
        if (is_it(name)) {
            return {name, templates::engine::rec};
        }
    }
    if (wanted.empty() && settings.rel_services.contains("rel")) {
        return {"rel", templates::engine::rel};
    }
    if (wanted.empty() && names.size() == 1) {
        return {names.front(),
                settings.rel_services.empty() ? templates::engine::rec : templates::engine::rel};
    }
    throw usage_error((wanted.empty() ? "which database?"
                                      : "the configuration has no database '" + wanted + "';") +
                      " Name one with --connection: " + (list.empty() ? "there is none" : list) +
                      beds::core::did_you_mean(wanted, names));
}

std::string counted(std::size_t number, const char* one, const char* many) {
    return std::to_string(number) + ' ' + (number == 1 ? one : many);
}

/// What a DBA has to look at before the node takes the file.
void tell_problems(std::ostream& err, const std::vector<templates::problem>& problems) {
    for (const auto& each : problems) {
        err << "  " << to_string(each) << '\n';
    }
}

class scaffolder {
public:
    scaffolder(std::ostream& out, std::ostream& err, const beds::config::settings& settings,
               const std::string& role, const scaffold_options& asked, beds::core::deadline until)
        : out_(out), err_(err), role_(role), asked_(asked), until_(until), wbid_(settings.id.wbid) {
        std::tie(connection_, store_) = choose(settings, asked.connection);
        if (!asked.procedures.empty() && store_ != templates::engine::rel) {
            throw usage_error("--procedures is for MariaDB; " + connection_ + " is a MongoDB");
        }
        if (store_ == templates::engine::rel) {
            database_ = settings.rel_services.at(connection_).database;
        }
        live_ = store_ == templates::engine::rel
                    ? connect_live(connection_, settings.rel_services.at(connection_), until)
                    : connect_live(connection_, settings.rec_services.at(connection_), until);
    }

    exit_code run() {
        const auto objects =
            asked_.all ? live_.adapter->objects(*live_.session, until_) : asked_.objects;
        if (objects.empty()) {
            err_ << "bedsctl: " << live_.place
                 << ": there are no tables or collections that this account sees; is `database` "
                    "right?\n";
            return exit_code::refused;
        }
        auto worst = exit_code::ok;
        if (!asked_.procedures.empty() && !asked_.overwrite &&
            std::filesystem::exists(asked_.procedures)) {
            err_ << "bedsctl: " << asked_.procedures.string()
                 << " is there already; --overwrite replaces it\n";
            return exit_code::refused;
        }
        for (const auto& each : objects) {
            try {
                if (!write(each)) {
                    worst = exit_code::refused; // said, and the others go on
                }
            } catch (const beds::core::error& failed) {
                if (failed.code() != beds::core::errc::unknown_name) {
                    throw;
                }
                err_ << "bedsctl: " << live_.place << ": " << failed.message()
                     << beds::core::did_you_mean(each,
                                                 live_.adapter->objects(*live_.session, until_))
                     << '\n';
                worst = exit_code::refused;
            }
        }
        if (!sql_.empty()) {
            write_sql();
        }
        return out_ ? worst : exit_code::unknown;
    }

private:
    /// False: there is a file that was not to be overwritten, or it is another object's.
    bool write(const std::string& object) {
        auto made = live_.adapter->survey(*live_.session, object, until_);
        auto& found = made.found;
        found.name = templates::name_for_object(object, wbid_);
        found.service = role_.empty() ? "app_server" : role_;
        found.connection = connection_;
        std::vector<table_column> columns;
        if (!asked_.procedures.empty()) {
            if (const auto why = why_no_procedures(made); !why.empty()) {
                err_ << "bedsctl: " << object << ": no procedures are made: " << why << '\n';
                return false;
            }
            columns = columns_of(live_, object, until_);
            go_through_procedures(made, columns);
        }
        made.beside.head.emplace_back(
            "Read it before a node does: what it names, every application may read and write.");
        const auto text = templates::to_toml(found, made.beside);
        templates::load_settings how;
        how.wbid = wbid_;
        how.connections = {{connection_, store_}};
        const auto file = found.name + ".toml";
        const auto problems = templates::parse(text, how, file).problems;
        if (!asked_.procedures.empty() && !problems.empty()) {
            err_ << "bedsctl: " << object
                 << ": no procedures are made: its template would be "
                    "refused:\n";
            tell_problems(err_, problems);
            return false;
        }
        if (asked_.directory.empty()) {
            out_ << (first_ ? "" : "\n") << text;
            first_ = false;
        } else {
            const auto path = asked_.directory / file;
            if (!written_.insert(file).second) {
                err_ << "bedsctl: " << object << " would be " << path.string()
                     << ", which another one of them is; scaffold it alone and rename its "
                        "template\n";
                return false;
            }
            if (!asked_.overwrite && std::filesystem::exists(path)) {
                err_ << "bedsctl: " << path.string()
                     << " is there already; --overwrite replaces it\n";
                return false;
            }
            std::ofstream to{path, std::ios::binary};
            to << text;
            to.close();
            if (!to) {
                throw usage_error("cannot write " + path.string());
            }
            err_ << path.string() << ": " << counted(found.fields.size(), "field", "fields") << ", "
                 << counted(found.indexes.size(), "index", "indexes") << " beside the key"
                 << (problems.empty() ? "" : "; a node refuses it until this is mended:") << '\n';
        }
        if (asked_.directory.empty() && !problems.empty()) {
            err_ << object << ": a node refuses this until it is mended:\n";
        }
        tell_problems(err_, problems);
        if (!asked_.procedures.empty()) {
            tell_replaced(found);
            sql_ += (sql_.empty() ? "" : "\n") + procedures_sql(made, object, columns);
        }
        return true;
    }

    /// The file replaces what has these names: a DBA who has own ones must hear of it.
    void tell_replaced(const templates::template_def& by) {
        for (const auto& name : {by.write.insert, by.write.update, by.write.remove}) {
            if (live_.adapter->survey_procedure(*live_.session, name, until_)) {
                err_ << "  procedure " << name << " is there already; the file replaces it\n";
            }
        }
    }

    void write_sql() {
        std::ofstream to{asked_.procedures, std::ios::binary};
        to << procedures_begin(database_) << sql_ << procedures_end();
        to.close();
        if (!to) {
            throw usage_error("cannot write " + asked_.procedures.string());
        }
        err_ << asked_.procedures.string() << ": for the DBA to read and to run\n";
    }

    std::ostream& out_;
    std::ostream& err_;
    const std::string& role_;
    const scaffold_options& asked_;
    beds::core::deadline until_;
    std::string wbid_;
    std::string connection_;
    templates::engine store_ = templates::engine::rel;
    live_database live_;
    std::string database_;
    std::string sql_;               ///< of all tables of this run
    std::set<std::string> written_; ///< files of this run
    bool first_ = true;
};

} // namespace

exit_code scaffold(std::ostream& out, std::ostream& err, const beds::config::settings& settings,
                   const std::string& role, const scaffold_options& asked,
                   beds::core::deadline until) {
    if (!asked.directory.empty() && !std::filesystem::is_directory(asked.directory)) {
        throw usage_error("there is no directory " + asked.directory.string());
    }
    return scaffolder{out, err, settings, role, asked, until}.run();
}

} // namespace bedsctl
