#include "templates/pipeline.hpp"

#include "templates/reader.hpp"
#include "templates/stored_form.hpp"

#include <beds/core/arena.hpp>
#include <beds/core/data.hpp>
#include <beds/core/error.hpp>
#include <beds/core/json.hpp>

#include <algorithm>
#include <array>

namespace beds::templates {
namespace {

using core::datum;

// Server-side code escapes every check of ours, and a write would escape the inbox.
constexpr std::array<std::string_view, 5> forbidden{"$where", "$function", "$accumulator", "$out",
                                                    "$merge"};

class checker {
public:
    explicit checker(std::span<const argument> args) : args_(args), used_(args.size(), false) {
        for (const argument& each : args) {
            names_.push_back(each.name);
        }
    }

    std::vector<std::string> check(const datum& pipeline) {
        if (!pipeline.is(datum::kind::array)) {
            return {"a pipeline is a JSON array of stages, found " +
                    std::string{core::describe(pipeline.type)}};
        }
        std::size_t number = 0;
        for (const datum& stage : pipeline.items()) {
            ++number;
            const auto members = stage.members();
            if (members.size() != 1 || !members.front().name.starts_with('$')) {
                found_.push_back("stage " + std::to_string(number) +
                                 ": a stage is an object with one operator, like "
                                 "{\"$match\":{…}}");
            }
            walk(stage);
        }
        for (std::size_t i = 0; i < names_.size(); ++i) {
            if (!used_[i]) {
                found_.push_back("argument '" + names_[i] + "' is not used in the pipeline");
            }
        }
        return std::move(found_);
    }

private:
    void walk(const datum& value, bool in_all = false) {
        for (const datum& item : value.items()) {
            walk(item, in_all);
        }
        const auto members = value.members();
        for (const core::member& each : members) {
            if (std::find(forbidden.begin(), forbidden.end(), each.name) != forbidden.end()) {
                found_.push_back(std::string{each.name} + " is not allowed in a pipeline");
            }
            if (each.name == "$arg") {
                argument_use(value, each.value, in_all);
            } else {
                walk(each.value, in_all || each.name == "$all");
            }
        }
    }

    void argument_use(const datum& whole, const datum& name, bool in_all) {
        const auto* stored = whole.find("stored");
        if (whole.count != (stored == nullptr ? 1U : 2U) || !name.is(datum::kind::string)) {
            found_.push_back(
                "an argument is written {\"$arg\":\"name\"}, or with \"stored\" beside "
                "it, and nothing else");
            return;
        }
        const auto known = std::find(names_.begin(), names_.end(), name.text);
        if (known == names_.end()) {
            found_.push_back("no argument " + quote(name.text) +
                             core::did_you_mean(name.text, names_));
            return;
        }
        const auto at = static_cast<std::size_t>(known - names_.begin());
        used_[at] = true;
        if (in_all && args_[at].type.kind >= core::type_kind::json) {
            found_.push_back("argument " + quote(name.text) + " is " +
                             core::to_string(args_[at].type) +
                             ": under $all MongoDB could take it for an operator; compare it with "
                             "$eq or $in");
        }
        if (stored != nullptr) {
            stored_as(*stored, args_[at]);
        }
    }

    void stored_as(const datum& form, const argument& made) {
        const auto known =
            form.is(datum::kind::string) ? parse_stored_form(form.text) : std::nullopt;
        if (!known) {
            found_.push_back("expected \"date\" or \"object_id\" as the \"stored\" of argument " +
                             quote(made.name));
        } else if (made.type.kind != type_of(*known)) {
            found_.push_back("argument " + quote(made.name) + " is " + core::to_string(made.type) +
                             (*known == stored_form::date ? ": only datetimes are stored as \""
                                                          : ": only strings are stored as \"") +
                             std::string{to_string(*known)} + '"');
        }
    }

    std::span<const argument> args_;
    std::vector<std::string> names_;
    std::vector<bool> used_;
    std::vector<std::string> found_;
};

} // namespace

std::vector<std::string> check_pipeline(std::string_view json, std::span<const argument> args) {
    core::arena memory;
    datum pipeline;
    if (const auto wrong = core::parse_json(json, memory, pipeline)) {
        return {"not JSON: " + std::string{wrong->what} + ", at byte " +
                std::to_string(wrong->offset) + " of the text"};
    }
    return checker{args}.check(pipeline);
}

} // namespace beds::templates
