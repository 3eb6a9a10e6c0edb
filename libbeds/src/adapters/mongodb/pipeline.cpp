#include "adapters/mongodb/pipeline.hpp"

#include "adapters/mongodb/evidence.hpp"
#include "templates/stored_form.hpp"

#include <beds/core/json.hpp>

#include <algorithm>
#include <array>

namespace beds::adapters::mongodb {
namespace {

using core::datum;
using templates::stored_form;

/// What the server would take a value for.
enum class place : std::uint8_t {
    expression,      ///< `"$name"` would be a field, `1` would be "keep": values need `$literal`
    query,           ///< members are fields or `$and` and its like
    field_condition, ///< the value of a field in a query
    comparison,      ///< the value of `$eq` and its like
    all,             ///< of `$all`, which takes documents of `$elemMatch` for an operator
    setting,         ///< numbers and truth values only
    fixed,           ///< no arguments at all
};

template <std::size_t Size>
bool one_of(std::string_view name, const std::array<std::string_view, Size>& names) {
    return std::find(names.begin(), names.end(), name) != names.end();
}

constexpr std::array<std::string_view, 4> server_side_script{"$where", "$function", "$accumulator",
                                                             "$eval"};

struct placeholder {
    std::string_view argument;
    stored_form form;
};

/// Of `{"$arg":"name"}` and `{"$arg":"name","stored":"date"}`, else nothing.
std::optional<placeholder> placeholder_of(const datum& from) {
    const auto* const name = from.is(datum::kind::object) ? from.find("$arg") : nullptr;
    if (name == nullptr || !name->is(datum::kind::string)) {
        return std::nullopt;
    }
    const auto* const stored = from.find("stored");
    if (stored == nullptr) {
        return from.count == 1 ? std::optional{placeholder{name->text, stored_form::usual}}
                               : std::nullopt;
    }
    const auto form = templates::parse_stored_form(stored->text);
    return from.count == 2 && form ? std::optional{placeholder{name->text, *form}} : std::nullopt;
}

class encoder {
public:
    encoder(bson_writer& to, const std::vector<templates::argument>& arguments,
            std::span<const core::value> values, core::arena& memory, std::string& why)
        : to_(to), arguments_(arguments), values_(values), memory_(memory), why_(why) {}

    /// Everything returns false after setting the reason.
    bool stages(std::string_view name, const datum& list) {
        if (!list.is(datum::kind::array)) {
            return fail("a pipeline is an array of stages");
        }
        to_.begin_array(name);
        std::size_t i = 0;
        for (const auto& stage : list.items()) {
            if (!stage.is(datum::kind::object) || stage.count != 1) {
                return fail("a stage is an object with one member");
            }
            const auto& only = stage.members().front();
            if (only.name == "$out" || only.name == "$merge") {
                // A ring tells of its own document; a copy would tell of another.
                to_.begin_document(element_name{i++});
                to_.begin_document("$project");
                to_.int32(ring_member, 0);
                to_.end();
                to_.end();
            }
            to_.begin_document(element_name{i++});
            if (!one_stage(only.name, only.value)) {
                return false;
            }
            to_.end();
        }
        to_.end();
        return true;
    }

private:
    bool fail(std::string text) {
        why_ = std::move(text);
        return false;
    }

    bool one_stage(std::string_view name, const datum& body) {
        constexpr std::array<std::string_view, 6> plain{"$limit", "$skip",   "$sample",
                                                        "$sort",  "$unwind", "$count"};
        if (name == "$match") {
            return any(name, body, place::query);
        }
        if (one_of(name, plain)) {
            return any(name, body, place::setting);
        }
        if (name == "$out" || name == "$merge" || name == "$unset") {
            return any(name, body, place::fixed);
        }
        if (name == "$facet") {
            return members_of(name, body,
                              [&](const core::member& one) { return stages(one.name, one.value); });
        }
        if (name == "$lookup" || name == "$unionWith") {
            return members_of(name, body, [&](const core::member& one) {
                return one.name == "pipeline"
                           ? stages(one.name, one.value)
                           : any(one.name, one.value,
                                 one.name == "let" ? place::expression : place::fixed);
            });
        }
        if (name == "$graphLookup") {
            return members_of(name, body, [&](const core::member& one) {
                auto where = place::fixed;
                if (one.name == "startWith") {
                    where = place::expression;
                } else if (one.name == "restrictSearchWithMatch") {
                    where = place::query;
                }
                return any(one.name, one.value, where);
            });
        }
        if (name == "$geoNear") {
            return members_of(name, body, [&](const core::member& one) {
                return any(one.name, one.value,
                           one.name == "query" ? place::query : place::setting);
            });
        }
        return any(name, body, place::expression);
    }

    template <class Function>
    bool members_of(std::string_view name, const datum& body, Function each) {
        if (!body.is(datum::kind::object)) {
            return any(name, body, place::fixed);
        }
        to_.begin_document(name);
        for (const auto& one : body.members()) {
            if (!each(one)) {
                return false;
            }
        }
        to_.end();
        return true;
    }

    bool any(std::string_view name, const datum& body, place where) {
        if (name.find('\0') != std::string_view::npos) {
            return fail("a name contains a NUL");
        }
        if (one_of(name, server_side_script)) {
            return fail("'" + std::string{name} + "' runs script in the server");
        }
        if (const auto found = placeholder_of(body)) {
            return bound(name, *found, where);
        }
        switch (body.type) {
        case datum::kind::object:
            to_.begin_document(name);
            for (const auto& one : body.members()) {
                if (one.name == "$arg") {
                    return fail("'$arg' stands alone in its object and names an argument");
                }
                if (!any(one.name, one.value, inside(one.name, where))) {
                    return false;
                }
            }
            to_.end();
            return true;
        case datum::kind::array: {
            to_.begin_array(name);
            std::size_t i = 0;
            // The array is a value that the field equals: its items are no conditions.
            const auto of_items = where == place::field_condition ? place::comparison : where;
            for (const auto& item : body.items()) {
                if (!any(element_name{i++}, item, of_items)) {
                    return false;
                }
            }
            to_.end();
            return true;
        }
        default:
            if (auto problem = append(to_, name, body)) {
                return fail(std::string{*problem});
            }
            return true;
        }
    }

    /// What the value of a member is, when its object stands at `where`.
    static place inside(std::string_view name, place where) {
        constexpr std::array<std::string_view, 8> comparisons{"$eq", "$ne",  "$gt", "$gte",
                                                              "$lt", "$lte", "$in", "$nin"};
        constexpr std::array<std::string_view, 3> settings{"$size", "$mod", "$exists"};
        const bool is_operator = name.starts_with('$');
        switch (where) {
        case place::expression:
            if (name == "$literal") {
                return place::comparison;
            }
            return name == "regex" ? place::fixed : place::expression;
        case place::query:
            if (!is_operator) {
                return place::field_condition;
            }
            if (name == "$expr") {
                return place::expression;
            }
            if (one_of(name, comparisons)) {
                return place::comparison; // in `$elemMatch`
            }
            if (name == "$all") {
                return place::all;
            }
            return name == "$and" || name == "$or" || name == "$nor" ? place::query : place::fixed;
        case place::field_condition:
            if (one_of(name, comparisons)) {
                return place::comparison;
            }
            if (name == "$all") {
                return place::all;
            }
            if (one_of(name, settings)) {
                return place::setting;
            }
            if (name == "$not") {
                return place::field_condition;
            }
            return name == "$elemMatch" ? place::query : place::fixed;
        case place::comparison:
        case place::all:
        case place::setting:
        case place::fixed:
            return where;
        }
        return place::fixed;
    }

    bool bound(std::string_view name, const placeholder& of, place where) {
        const auto found =
            std::find_if(arguments_.begin(), arguments_.end(),
                         [&](const templates::argument& one) { return one.name == of.argument; });
        if (found == arguments_.end()) {
            return fail("there is no argument '" + std::string{of.argument} + "'");
        }
        const auto position = static_cast<std::size_t>(found - arguments_.begin());
        const auto value = position < values_.size() ? values_[position] : core::value::of_null();
        switch (where) {
        case place::expression:
            to_.begin_document(name);
            if (!put("$literal", value, *found, of.form)) {
                return false;
            }
            to_.end();
            return true;
        case place::field_condition:
            to_.begin_document(name);
            if (!put("$eq", value, *found, of.form)) {
                return false;
            }
            to_.end();
            return true;
        case place::all:
            if (found->type.kind >= core::type_kind::json) {
                return fail("argument '" + found->name + "' is " + core::to_string(found->type) +
                            ": under '$all' the server could take it for an operator");
            }
            return put(name, value, *found, of.form);
        case place::comparison:
            return put(name, value, *found, of.form);
        case place::setting: {
            using core::type_kind;
            const auto kind = found->type.kind;
            if (kind > type_kind::float64) {
                return fail("'" + std::string{name} + "' takes only numbers as arguments");
            }
            return put(name, value, *found, of.form);
        }
        case place::query:
        case place::fixed:
            break;
        }
        return fail("no argument can stand at '" + std::string{name} + "'");
    }

    bool put(std::string_view name, const core::value& value, const templates::argument& as,
             stored_form form) {
        if (auto problem = append(to_, name, value, as.type, form, memory_)) {
            return fail(std::string{*problem});
        }
        return true;
    }

    bson_writer& to_;
    const std::vector<templates::argument>& arguments_;
    std::span<const core::value> values_;
    core::arena& memory_;
    std::string& why_;
};

} // namespace

pipeline::pipeline(const templates::call& called)
    : text_(called.pipeline), arguments_(called.args) {
    if (const auto error = core::parse_json(text_, own_, stages_)) {
        problem_ = "pipeline is not JSON: " + std::string{error->what} + " at byte " +
                   std::to_string(error->offset);
        return;
    }
    bson_writer trial;
    core::arena memory{4096};
    std::string why;
    if (!encoder{trial, arguments_, {}, memory, why}.stages("pipeline", stages_)) {
        problem_ = "pipeline: " + why;
    }
}

bool pipeline::writes() const {
    const auto items = stages_.items();
    return std::any_of(items.begin(), items.end(), [](const datum& stage) {
        return stage.find("$out") != nullptr || stage.find("$merge") != nullptr;
    });
}

encode_problem pipeline::append_to(bson_writer& to, std::string_view name,
                                   std::span<const core::value> args, core::arena& memory) const {
    std::string why;
    if (!encoder{to, arguments_, args, memory, why}.stages(name, stages_)) {
        return memory.copy(std::string_view{why});
    }
    return std::nullopt;
}

} // namespace beds::adapters::mongodb
