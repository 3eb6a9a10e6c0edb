#include "check.hpp"

#include "arguments.hpp"
#include "live.hpp"
#include "node/role_templates.hpp"
#include "templates/text.hpp"

#include <beds/core/error.hpp>
#include <beds/templates/registry.hpp>
#include <beds/templates/writer.hpp>

#include <algorithm>
#include <map>
#include <ostream>

namespace bedsctl {
namespace {

namespace adapters = beds::adapters;
namespace templates = beds::templates;
using severity = adapters::difference::severity;

std::vector<std::string_view> lines_of(std::string_view text) {
    std::vector<std::string_view> made;
    while (!text.empty()) {
        const auto end = std::min(text.find('\n'), text.size());
        made.push_back(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return made;
}

/// What the database would make of it, under the names and with the promises of the template.
templates::template_def as_named_by(const templates::template_def& wanted,
                                    templates::template_def found) {
    found.name = wanted.name;
    found.version = wanted.version;
    found.service = wanted.service;
    found.connection = wanted.connection;
    found.object = wanted.object;
    found.tla = wanted.tla;
    found.read_view = wanted.read_view;
    found.write = wanted.write;
    found.write_errors = wanted.write_errors;
    found.calls = wanted.calls;
    found.limits = wanted.limits;
    for (auto& each : found.fields) {
        for (const auto& known : wanted.fields) {
            if (templates::same_column(each.column, known.column, wanted.store)) {
                each.name = known.name;
                each.sensitivity = known.sensitivity;
            }
        }
    }
    return found;
}

class checker {
public:
    checker(std::ostream& out, const beds::config::settings& settings, const check_options& asked,
            beds::core::deadline until)
        : out_(out), settings_(settings), asked_(asked), until_(until) {}

    exit_code run() {
        const auto loaded = templates::load(beds::node::load_settings_with_connections(settings_));
        for (const auto& each : loaded.problems) {
            out_ << to_string(each) << '\n';
        }
        errors_ += loaded.problems.size();
        for (const auto& name : asked_.templates) {
            if (loaded.templates->find(name) == nullptr) {
                throw usage_error("there is no template '" + name + "'" +
                                  loaded.templates->suggest(name));
            }
        }
        for (const auto& each : loaded.templates->all()) {
            if (asked_.templates.empty() ||
                std::find(asked_.templates.begin(), asked_.templates.end(), each.name) !=
                    asked_.templates.end()) {
                one(each);
            }
        }
        out_ << checked_ << (checked_ == 1 ? " template" : " templates") << " compared, " << errors_
             << (errors_ == 1 ? " error, " : " errors, ") << warnings_
             << (warnings_ == 1 ? " warning" : " warnings") << '\n';
        return errors_ == 0 ? exit_code::ok : exit_code::refused;
    }

private:
    live_database& database(const std::string& connection) {
        auto known = databases_.find(connection);
        if (known == databases_.end()) {
            known = databases_
                        .emplace(
                            connection,
                            connect_live(connection, settings_.rel_services.at(connection), until_))
                        .first;
        }
        return known->second;
    }

    void one(const templates::template_def& wanted) {
        if (wanted.store != templates::engine::rel) {
            out_ << wanted.name << ": not compared, MongoDB has no columns\n";
            return;
        }
        if (!settings_.rel_services.contains(wanted.connection)) {
            out_ << wanted.name << ": not compared, '" << wanted.connection
                 << "' is no database of the configuration\n";
            return;
        }
        ++checked_;
        auto& in = database(wanted.connection);
        std::vector<adapters::difference> found;
        const auto add = [&](std::vector<adapters::difference> more) {
            found.insert(found.end(), std::make_move_iterator(more.begin()),
                         std::make_move_iterator(more.end()));
        };
        adapters::surveyed written;
        try {
            written = in.adapter->survey(*in.session, wanted.object, until_);
            const auto read = wanted.read_view.empty()
                                  ? written
                                  : in.adapter->survey(*in.session, wanted.read_view, until_);
            add(adapters::compare(wanted, read, written));
        } catch (const beds::core::error& failed) {
            if (failed.code() != beds::core::errc::unknown_name) {
                throw;
            }
            add({{severity::error, written.found.object.empty() ? "template.object" : "read.view",
                  failed.message() +
                      beds::core::did_you_mean(written.found.object.empty() ? wanted.object
                                                                            : wanted.read_view,
                                               in.adapter->objects(*in.session, until_))}});
        }
        const auto procedure = [&](const std::string& name) {
            return name.empty() ? std::nullopt
                                : in.adapter->survey_procedure(*in.session, name, until_);
        };
        for (const auto& [key, name] : {std::pair{"write.insert", &wanted.write.insert},
                                        std::pair{"write.update", &wanted.write.update},
                                        std::pair{"write.delete", &wanted.write.remove}}) {
            const auto there = procedure(*name);
            add(adapters::compare(wanted, key, *name, there ? &*there : nullptr));
        }
        for (const auto& each : wanted.calls) {
            const auto there = procedure(each.procedure);
            add(adapters::compare(each, there ? &*there : nullptr));
        }
        print(wanted, found);
        if (asked_.diff && !found.empty() && !written.found.fields.empty()) {
            out_ << line_diff(templates::to_toml(wanted),
                              templates::to_toml(as_named_by(wanted, written.found)));
        }
    }

    void print(const templates::template_def& wanted,
               const std::vector<adapters::difference>& found) {
        if (found.empty()) {
            out_ << wanted.name << ": as the database has it\n";
            return;
        }
        for (const auto& each : found) {
            const bool error = each.how == severity::error;
            ++(error ? errors_ : warnings_);
            out_ << wanted.file.string() << (wanted.file.empty() ? wanted.name : std::string{})
                 << ": " << each.key << ": " << (error ? "error: " : "warning: ") << each.text
                 << '\n';
        }
    }

    std::ostream& out_;
    const beds::config::settings& settings_;
    const check_options& asked_;
    beds::core::deadline until_;
    std::map<std::string, live_database> databases_;
    std::size_t checked_ = 0;
    std::size_t errors_ = 0;
    std::size_t warnings_ = 0;
};

} // namespace

exit_code check(std::ostream& out, const beds::config::settings& settings,
                const check_options& asked, beds::core::deadline until) {
    return checker{out, settings, asked, until}.run();
}

std::string line_diff(std::string_view before, std::string_view after) {
    const auto left = lines_of(before);
    const auto right = lines_of(after);
    // Longest common subsequence: templates have some hundred lines at most.
    std::vector<std::vector<std::size_t>> common(left.size() + 1,
                                                 std::vector<std::size_t>(right.size() + 1, 0));
    for (auto i = left.size(); i-- > 0;) {
        for (auto k = right.size(); k-- > 0;) {
            common[i][k] = left[i] == right[k] ? common[i + 1][k + 1] + 1
                                               : std::max(common[i + 1][k], common[i][k + 1]);
        }
    }
    std::string made;
    const auto put = [&](char mark, std::string_view line) {
        made += mark;
        made += ' ';
        made += line;
        made += '\n';
    };
    std::size_t i = 0;
    std::size_t k = 0;
    while (i < left.size() || k < right.size()) {
        if (i < left.size() && k < right.size() && left[i] == right[k]) {
            put(' ', left[i]);
            ++i;
            ++k;
        } else if (i < left.size() && (k == right.size() || common[i + 1][k] >= common[i][k + 1])) {
            put('-', left[i++]);
        } else {
            put('+', right[k++]);
        }
    }
    return made;
}

} // namespace bedsctl
