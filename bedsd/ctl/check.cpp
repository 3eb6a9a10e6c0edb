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
#include <optional>
#include <ostream>
#include <utility>

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

/// The same fields of another template; nothing when one is not there.
std::optional<std::vector<templates::field_id>> ids_of(const templates::template_def& from,
                                                       const std::vector<templates::field_id>& ids,
                                                       const templates::template_def& in) {
    std::vector<templates::field_id> made;
    for (const auto id : ids) {
        const auto found = in.find_field(from.fields[id].name);
        if (!found) {
            return std::nullopt;
        }
        made.push_back(*found);
    }
    return made;
}

/// A view does not show everything of the columns behind it: what they get without a value, who
/// checks that a text is JSON.
void keep_unseen(const templates::field& known, templates::field& of) {
    if (known.type.kind == beds::core::type_kind::json &&
        of.type.kind == beds::core::type_kind::string) {
        of.type = known.type;
        of.collation = known.collation;
    }
    if (!of.required && !of.default_text && of.source == templates::generated::no) {
        of.required = known.required;
        of.default_text = known.default_text;
        of.source = known.source;
    }
}

/// What the database would make of it, under the names and with the promises of the template.
templates::template_def as_named_by(const templates::template_def& wanted,
                                    adapters::surveyed there) {
    auto found = std::move(there.found);
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
    found.closed = wanted.closed;
    found.order_by = wanted.order_by;
    for (auto& each : found.fields) {
        for (const auto& known : wanted.fields) {
            if (templates::same_column(each.column, known.column, wanted.store)) {
                each.name = known.name;
                each.sensitivity = known.sensitivity;
                each.write_protected = each.write_protected || known.write_protected;
                if (there.is_view) {
                    keep_unseen(known, each);
                }
            }
        }
    }
    if (there.is_view) {
        found.key = ids_of(wanted, wanted.key, found).value_or(found.key);
        for (const auto id : found.key) {
            found.fields[id].in_key = true;
            found.fields[id].nullable = false;
        }
        for (const auto& each : wanted.indexes) {
            if (auto ids = ids_of(wanted, each.fields, found)) {
                found.indexes.push_back(each);
                found.indexes.back().fields = std::move(*ids);
            }
        }
    }
    if (wanted.soft_delete) {
        found.soft_delete = found.find_field(wanted.fields[*wanted.soft_delete].name);
    }
    const auto names = [](const templates::template_def& of, const templates::index& index) {
        std::vector<std::string_view> made;
        for (const auto id : index.fields) {
            made.emplace_back(of.fields[id].name);
        }
        return made;
    };
    for (auto& each : found.indexes) {
        for (const auto& known : wanted.indexes) {
            // On MariaDB rows go by BEDS, and the index does not say when.
            if (wanted.store == templates::engine::rel && known.expire_after &&
                names(found, each) == names(wanted, known)) {
                each.expire_after = known.expire_after;
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
        loaded_ = templates::load(beds::node::load_settings_with_connections(settings_));
        for (const auto& each : loaded_.problems) {
            out_ << to_string(each) << '\n';
        }
        errors_ += loaded_.problems.size();
        for (const auto& name : asked_.templates) {
            if (loaded_.templates->find(name) == nullptr) {
                throw usage_error("there is no template '" + name + "'" +
                                  loaded_.templates->suggest(name));
            }
        }
        for (const auto& each : loaded_.templates->all()) {
            if (asked_.templates.empty() ||
                std::find(asked_.templates.begin(), asked_.templates.end(), each.name) !=
                    asked_.templates.end()) {
                one(each);
            }
        }
        own_of_beds();
        out_ << checked_ << (checked_ == 1 ? " template" : " templates") << " compared, " << errors_
             << (errors_ == 1 ? " error, " : " errors, ") << warnings_
             << (warnings_ == 1 ? " warning" : " warnings") << '\n';
        return errors_ == 0 ? exit_code::ok : exit_code::refused;
    }

private:
    live_database& database(const std::string& connection) {
        auto known = databases_.find(connection);
        if (known == databases_.end()) {
            const auto rel = settings_.rel_services.find(connection);
            auto made = rel != settings_.rel_services.end()
                            ? connect_live(connection, rel->second, until_, looks_at::inbox)
                            : connect_live(connection, settings_.rec_services.at(connection),
                                           until_, looks_at::inbox);
            known = databases_.emplace(connection, std::move(made)).first;
        }
        return known->second;
    }

    void one(const templates::template_def& wanted) {
        const bool rel = wanted.store == templates::engine::rel;
        if (rel ? !settings_.rel_services.contains(wanted.connection)
                : !settings_.rec_services.contains(wanted.connection)) {
            out_ << wanted.name << ": not compared, '" << wanted.connection
                 << "' is no database of the configuration\n";
            return;
        }
        ++checked_;
        auto& in = database(wanted.connection);
        const auto highest =
            beds::node::highest_class(settings_, wanted).value_or(beds::core::op_class::bulk);
        auto& uses = uses_[wanted.connection];
        uses.targets.push_back(&wanted);
        uses.highest = std::max(uses.highest, highest);
        const auto found = in.adapter->compare(*in.session, wanted, highest, until_)
                               .value_or(std::vector<adapters::difference>{});
        if (found.empty()) {
            out_ << wanted.name << ": as the database has it\n";
            return;
        }
        for (const auto& each : found) {
            count(each);
            out_ << to_string(each, wanted) << '\n';
        }
        if (asked_.diff) {
            show(wanted, in);
        }
    }

    void show(const templates::template_def& wanted, live_database& in) {
        try {
            auto there = in.adapter->survey(*in.session, wanted.object, until_);
            out_ << line_diff(templates::to_toml(wanted),
                              templates::to_toml(as_named_by(wanted, std::move(there))));
        } catch (const beds::core::error& failed) {
            if (failed.code() != beds::core::errc::unknown_name) { // told already
                throw;
            }
        }
    }

    /// The inbox and what else BEDS keeps in a database.
    void own_of_beds() {
        for (const auto& [connection, of] : uses_) {
            auto& in = database(connection);
            for (const auto& each :
                 in.adapter->compare_own(*in.session, of.targets, of.highest, until_)) {
                count(each);
                out_ << "database " << connection << ": " << each.key << ": "
                     << (each.how == severity::error ? "error: " : "warning: ") << each.text << "; "
                     << each.advice << '\n';
            }
        }
    }

    void count(const adapters::difference& found) {
        ++(found.how == severity::error ? errors_ : warnings_);
    }

    struct use {
        std::vector<const templates::template_def*> targets;
        beds::core::op_class highest = beds::core::op_class::read;
    };

    std::ostream& out_;
    const beds::config::settings& settings_;
    const check_options& asked_;
    beds::core::deadline until_;
    templates::load_result loaded_;
    std::map<std::string, live_database> databases_;
    std::map<std::string, use> uses_; ///< by connection
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
