#include <beds/core/error.hpp>
#include <beds/core/json.hpp>
#include <beds/testing/make.hpp>

#include <algorithm>
#include <charconv>

namespace beds::testing {

using adapters::assignment;
using adapters::bound_operation;
using core::type_kind;
using templates::template_def;

namespace {

[[noreturn]] void refuse(const std::string& why) {
    throw core::error{core::errc::invalid_template, why};
}

templates::field_id field_of(const template_def& target, std::string_view name) {
    for (std::size_t i = 0; i < target.fields.size(); ++i) {
        if (target.fields[i].name == name) {
            return static_cast<templates::field_id>(i);
        }
    }
    refuse("template '" + target.name + "' has no field '" + std::string{name} + "'");
}

core::row_layout layout_of(const template_def& target,
                           std::span<const templates::field_id> fields) {
    std::vector<core::row_layout::column> columns;
    for (const auto field : fields) {
        columns.push_back({target.fields[field].name, target.fields[field].type});
    }
    return core::row_layout{std::move(columns)};
}

core::field_type type_of(std::string_view text) {
    const auto colon = text.find(':');
    auto type = core::parse_field_type(text.substr(0, colon));
    if (!type) {
        refuse("no such type: " + std::string{text});
    }
    if (colon == std::string_view::npos) {
        return *type;
    }
    auto rest = text.substr(colon + 1);
    if (type->kind == type_kind::enumeration) {
        while (!rest.empty()) {
            const auto comma = std::min(rest.find(','), rest.size());
            type->values.emplace_back(rest.substr(0, comma));
            rest.remove_prefix(std::min(comma + 1, rest.size()));
        }
    } else {
        std::from_chars(rest.data(), rest.data() + rest.size(), type->max);
    }
    return *type;
}

} // namespace

bool literal::is_null() const {
    if (const auto* owned = std::get_if<owned_value>(&value_)) {
        return owned->is_null();
    }
    return std::holds_alternative<std::monostate>(value_);
}

core::value literal::as(const core::field_type& type, core::arena& memory) const {
    if (is_null()) {
        return core::value::of_null();
    }
    core::datum given;
    if (const auto* owned = std::get_if<owned_value>(&value_)) {
        auto copy = owned->view();
        copy.text = memory.copy(copy.text);
        if (copy.type != core::value::kind::json) {
            return copy;
        }
        given = core::datum::of(copy.text);
    } else if (const auto* truth = std::get_if<bool>(&value_)) {
        given = core::datum::of(*truth);
    } else if (const auto* integer = std::get_if<std::int64_t>(&value_)) {
        given = core::datum::of(*integer);
    } else if (const auto* wide = std::get_if<std::uint64_t>(&value_)) {
        given = core::datum::of(*wide);
    } else if (const auto* real = std::get_if<double>(&value_)) {
        char digits[32];
        const auto* end = std::to_chars(digits, digits + sizeof digits, *real).ptr;
        given = core::datum::of_number(
            memory.copy(std::string_view{digits, static_cast<std::size_t>(end - digits)}));
    } else {
        given = core::datum::of(memory.copy(std::string_view{std::get<std::string>(value_)}));
    }
    if (given.is(core::datum::kind::string)) {
        if (type.kind == type_kind::bytes) {
            return core::value::of_text(core::value::kind::bytes, given.text);
        }
        if (type.kind == type_kind::json || type.kind == type_kind::document) {
            auto* tree = memory.make<core::datum>();
            if (const auto error = core::parse_json(given.text, memory, *tree)) {
                refuse("not JSON: " + std::string{given.text});
            }
            return core::value::of_document(tree);
        }
    }
    core::value made;
    if (const auto mismatch = core::convert(given, type, memory, made)) {
        refuse("a literal is not " + std::string{mismatch->expected} + " (" +
               core::to_string(type) + ")");
    }
    return made;
}

template_maker::template_maker(std::string name) {
    made_.name = std::move(name);
    made_.object = made_.name;
    made_.connection = "rel";
}

template_maker& template_maker::object(std::string name) {
    made_.object = std::move(name);
    return *this;
}

template_maker& template_maker::connection(std::string name, templates::engine store) {
    made_.connection = std::move(name);
    made_.store = store;
    return *this;
}

template_maker& template_maker::field(std::string name, std::string_view type,
                                      field_options options) {
    templates::field made;
    made.column = options.column.empty() ? name : options.column;
    made.name = std::move(name);
    made.type = type_of(type);
    made.required = options.required;
    made.nullable = options.nullable && !options.required;
    made.indexed = options.indexed;
    made.write_protected = options.write_protected;
    made.source = options.source;
    made.collation = options.collation;
    made_.fields.push_back(std::move(made));
    return *this;
}

template_maker& template_maker::key(std::vector<std::string> fields) {
    key_ = std::move(fields);
    return *this;
}

template_maker& template_maker::index(std::vector<std::string> fields) {
    indexes_.emplace_back(std::move(fields), false);
    return *this;
}

template_maker& template_maker::unique(std::vector<std::string> fields) {
    indexes_.emplace_back(std::move(fields), true);
    return *this;
}

template_maker& template_maker::max_rows(std::uint32_t rows) {
    made_.limits.max_rows = rows;
    return *this;
}

template_maker& template_maker::call(templates::call called) {
    std::vector<core::row_layout::column> columns;
    for (const auto& out : called.out) {
        columns.push_back({out.name, out.type});
    }
    called.out_layout = core::row_layout{std::move(columns)};
    made_.calls.push_back(std::move(called));
    return *this;
}

template_def template_maker::build() const {
    auto built = made_;
    for (const auto& name : key_) {
        const auto id = field_of(built, name);
        auto& field = built.fields[id];
        field.in_key = true;
        field.indexed = true;
        field.nullable = false;
        built.key.push_back(id);
    }
    if (built.key.empty()) {
        refuse("template '" + built.name + "' has no key");
    }
    for (const auto& [names, unique] : indexes_) {
        templates::index made;
        made.unique = unique;
        for (const auto& name : names) {
            const auto id = field_of(built, name);
            built.fields[id].indexed = true;
            made.fields.push_back(id);
        }
        built.indexes.push_back(std::move(made));
    }
    std::vector<templates::field_id> all(built.fields.size());
    for (std::size_t i = 0; i < all.size(); ++i) {
        all[i] = static_cast<templates::field_id>(i);
    }
    built.all_fields = layout_of(built, all);
    built.key_layout = layout_of(built, built.key);
    return built;
}

std::span<const assignment> operation_maker::assign(const std::vector<named_literal>& values) {
    const auto made = owner_->memory_.make_span<assignment>(values.size());
    const auto& target = *made_->target;
    for (std::size_t i = 0; i < values.size(); ++i) {
        made[i].field = field_of(target, values[i].name);
        made[i].value = values[i].value.as(target.fields[made[i].field].type, owner_->memory_);
    }
    return made;
}

operation_maker& operation_maker::fields(std::vector<std::string> names) {
    const auto ids = owner_->memory_.make_span<templates::field_id>(names.size());
    std::transform(names.begin(), names.end(), ids.begin(),
                   [this](const std::string& name) { return field_of(*made_->target, name); });
    made_->fields = ids;
    made_->layout = &owner_->layouts_.emplace_back(layout_of(*made_->target, ids));
    return *this;
}

operation_maker& operation_maker::on_conflict(std::vector<std::string> unique,
                                              std::vector<std::string> taken_over) {
    const auto ids_of = [this](const std::vector<std::string>& names) {
        const auto ids = owner_->memory_.make_span<templates::field_id>(names.size());
        std::transform(names.begin(), names.end(), ids.begin(),
                       [this](const std::string& name) { return field_of(*made_->target, name); });
        return ids;
    };
    made_->unique = ids_of(unique);
    made_->taken_over = ids_of(taken_over);
    return *this;
}

operation_maker& operation_maker::where(std::string_view field, adapters::comparison op,
                                        std::vector<literal> values) {
    const auto id = field_of(*made_->target, field);
    const auto& type = made_->target->fields[id].type;
    const auto converted = owner_->memory_.make_span<core::value>(values.size());
    std::transform(values.begin(), values.end(), converted.begin(),
                   [&](const literal& value) { return value.as(type, owner_->memory_); });
    const auto conditions = owner_->memory_.make_span<adapters::condition>(made_->where.size() + 1);
    std::copy(made_->where.begin(), made_->where.end(), conditions.begin());
    conditions.back() = {id, op, converted};
    made_->where = conditions;
    return *this;
}

operation_maker& operation_maker::sort(std::vector<std::string> fields) {
    std::vector<adapters::sort_key> keys;
    for (const auto& field : fields) {
        const bool descends = field.starts_with('-');
        keys.push_back(
            {field_of(*made_->target, std::string_view{field}.substr(descends ? 1 : 0)),
             descends ? adapters::direction::descending : adapters::direction::ascending});
    }
    for (const auto id : made_->target->key) {
        const bool there = std::any_of(keys.begin(), keys.end(),
                                       [id](const auto& key) { return key.field == id; });
        if (!there) {
            keys.push_back({id, adapters::direction::ascending});
        }
    }
    made_->sort = owner_->memory_.copy(std::span<const adapters::sort_key>{keys});
    return *this;
}

operation_maker& operation_maker::limit(std::uint32_t rows) {
    made_->limit = rows;
    return *this;
}

operation_maker& operation_maker::after(const recorded_cursor& cursor) {
    const auto values = owner_->memory_.make_span<core::value>(cursor.position.size());
    for (std::size_t i = 0; i < values.size(); ++i) {
        values[i] = cursor.position[i].view();
        values[i].text = owner_->memory_.copy(values[i].text);
    }
    made_->after = values;
    return *this;
}

operation_maker& operation_maker::row(std::vector<named_literal> values) {
    const auto rows =
        owner_->memory_.make_span<std::span<const assignment>>(made_->rows.size() + 1);
    std::copy(made_->rows.begin(), made_->rows.end(), rows.begin());
    rows.back() = assign(values);
    made_->rows = rows;
    return *this;
}

operation_maker& operation_maker::set(std::vector<named_literal> values) {
    made_->set = assign(values);
    return *this;
}

operation_maker& operation_maker::inc(std::vector<named_literal> values) {
    const auto made = owner_->memory_.make_span<assignment>(values.size());
    for (std::size_t i = 0; i < values.size(); ++i) {
        made[i].field = field_of(*made_->target, values[i].name);
        // As in requests: a step may be larger than what the field holds, and negative.
        auto type = made_->target->fields[made[i].field].type;
        if (type.kind >= type_kind::int8 && type.kind <= type_kind::uint64) {
            type.kind = type_kind::int64;
        }
        made[i].value = values[i].value.as(type, owner_->memory_);
    }
    made_->inc = made;
    return *this;
}

operation_maker& operation_maker::expect(std::vector<named_literal> values) {
    made_->expect = assign(values);
    return *this;
}

operation_maker& operation_maker::deadline(core::deadline until) {
    made_->deadline = until;
    return *this;
}

operation_maker operations::add(const template_def& target, core::verb op) {
    auto& made = made_.emplace_back();
    made.index = static_cast<core::op_index>(made_.size() - 1);
    made.op = op;
    made.target = &target;
    return operation_maker{*this, made};
}

std::span<const core::value> operations::key_values(const template_def& target,
                                                    const std::vector<literal>& key) {
    if (!key.empty() && key.size() != target.key.size()) {
        refuse("the key of '" + target.name + "' has " + std::to_string(target.key.size()) +
               " fields");
    }
    const auto values = memory_.make_span<core::value>(key.size());
    for (std::size_t i = 0; i < key.size(); ++i) {
        values[i] = key[i].as(target.fields[target.key[i]].type, memory_);
    }
    return values;
}

namespace {

std::span<const templates::field_id> every_field(const template_def& target, core::arena& memory) {
    const auto ids = memory.make_span<templates::field_id>(target.fields.size());
    for (std::size_t i = 0; i < ids.size(); ++i) {
        ids[i] = static_cast<templates::field_id>(i);
    }
    return ids;
}

} // namespace

operation_maker operations::fetch(const template_def& target, std::vector<literal> key) {
    auto made = add(target, core::verb::fetch);
    made.made_->key = key_values(target, key);
    made.made_->fields = every_field(target, memory_);
    made.made_->layout = &target.all_fields;
    return made;
}

operation_maker operations::find(const template_def& target) {
    auto made = add(target, core::verb::find);
    made.made_->fields = every_field(target, memory_);
    made.made_->layout = &target.all_fields;
    made.made_->limit = target.limits.max_rows;
    return made.sort({});
}

operation_maker operations::count(const template_def& target) {
    return add(target, core::verb::count);
}

operation_maker operations::exists(const template_def& target) {
    return add(target, core::verb::exists);
}

operation_maker operations::insert(const template_def& target) {
    return add(target, core::verb::insert);
}

operation_maker operations::update(const template_def& target, std::vector<literal> key) {
    auto made = add(target, core::verb::update);
    made.made_->key = key_values(target, key);
    return made;
}

operation_maker operations::remove(const template_def& target, std::vector<literal> key) {
    auto made = add(target, core::verb::remove);
    made.made_->key = key_values(target, key);
    return made;
}

operation_maker operations::call(const template_def& target, std::string_view name,
                                 std::vector<literal> args) {
    auto made = add(target, core::verb::call);
    const auto found = std::find_if(target.calls.begin(), target.calls.end(),
                                    [name](const auto& call) { return call.name == name; });
    if (found == target.calls.end() || args.size() > found->args.size()) {
        refuse("template '" + target.name + "' has no such call: " + std::string{name});
    }
    const auto values = memory_.make_span<core::value>(found->args.size());
    for (std::size_t i = 0; i < args.size(); ++i) {
        values[i] = args[i].as(found->args[i].type, memory_);
    }
    made.made_->call = &*found;
    made.made_->args = values;
    return made;
}

adapters::group operations::group(adapters::group_mode mode) {
    return group(0, made_.size(), mode);
}

adapters::group operations::group(std::size_t first, std::size_t count, adapters::group_mode mode) {
    // The span of a group made earlier must stay valid, hence the arena.
    const auto pointers = memory_.make_span<const bound_operation*>(count);
    for (std::size_t i = 0; i < count; ++i) {
        pointers[i] = &made_[first + i];
    }
    return {mode, pointers};
}

} // namespace beds::testing
