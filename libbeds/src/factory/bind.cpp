#include "factory/bind.hpp"

#include "templates/stored_form.hpp"

#include <beds/core/error.hpp>

#include <algorithm>
#include <array>
#include <charconv>

namespace beds::factory {
namespace {

using adapters::assignment;
using adapters::bound_operation;
using adapters::comparison;
using adapters::condition;
using core::code;
using core::datum;
using core::outcome;
using core::value;
using templates::field_id;
using templates::template_def;

using failed = std::optional<outcome>;

/// Names come from callers and may be as long as a message: what is echoed is bounded.
std::string_view shown(core::arena& memory, std::string_view name) {
    return memory.copy(name.substr(0, 64));
}

outcome refuse(code why, std::string_view detail, std::string_view field = {}) {
    return outcome::failure(why, detail, field);
}

outcome unknown_field(core::arena& memory, const template_def& target, std::string_view name) {
    const auto echoed = shown(memory, name);
    return refuse(code::invalid_field,
                  join(memory, {"template '", target.name, "' has no field '", echoed, "'",
                                target.suggest_field(echoed)}),
                  echoed);
}

/// Are there more than so many arrays and objects around a value? Requests are not much deeper.
bool deeper(const datum& given, std::size_t most) {
    if (given.is(datum::kind::array)) {
        return most == 0 || std::any_of(given.items().begin(), given.items().end(),
                                        [&](const datum& item) { return deeper(item, most - 1); });
    }
    if (given.is(datum::kind::object)) {
        return most == 0 ||
               std::any_of(given.members().begin(), given.members().end(),
                           [&](const auto& part) { return deeper(part.value, most - 1); });
    }
    return false;
}

std::string_view number_text(core::arena& memory, std::uint64_t number) {
    char digits[24];
    const auto end = std::to_chars(digits, digits + sizeof digits, number).ptr;
    return memory.copy(std::string_view{digits, static_cast<std::size_t>(end - digits)});
}

bool is_integer(core::type_kind kind) {
    return kind >= core::type_kind::int8 && kind <= core::type_kind::uint64;
}

/// The kind of value that a field of this type holds when it comes back from a cursor.
bool fits_cursor(const value& given, core::type_kind kind) {
    using core::type_kind;
    switch (given.type) {
    case value::kind::null:
        return true;
    case value::kind::boolean:
        return kind == type_kind::boolean;
    case value::kind::integer:
    case value::kind::unsigned_integer:
        return is_integer(kind);
    case value::kind::real:
        return kind == type_kind::float64;
    case value::kind::decimal:
        return kind == type_kind::decimal &&
               given.text.find_first_not_of("0123456789.-") == std::string_view::npos;
    case value::kind::string:
        return kind == type_kind::string || kind == type_kind::enumeration;
    case value::kind::uuid:
        return kind == type_kind::uuid && given.text.size() == 36;
    case value::kind::bytes:
        return kind == type_kind::bytes;
    case value::kind::date:
        return kind == type_kind::date;
    case value::kind::time:
        return kind == type_kind::time;
    case value::kind::datetime:
        return kind == type_kind::datetime;
    case value::kind::json:
    case value::kind::document:
        return false;
    }
    return false;
}

/// What an increment of this field may be: signed also where the field is not.
core::field_type increment_type(const core::field_type& type) {
    auto made = type;
    if (is_integer(type.kind)) {
        made.kind = core::type_kind::int64;
    }
    return made;
}

bool can_increment(core::type_kind kind) {
    return is_integer(kind) || kind == core::type_kind::decimal || kind == core::type_kind::float64;
}

} // namespace

std::string_view join(core::arena& memory, std::initializer_list<std::string_view> parts) {
    std::size_t size = 0;
    for (const auto part : parts) {
        size += part.size();
    }
    const auto text = memory.make_span<char>(size);
    std::size_t at = 0;
    for (const auto part : parts) {
        part.copy(text.data() + at, part.size());
        at += part.size();
    }
    return {text.data(), size};
}

binder::binder(std::span<const templates::template_def> templates,
               std::shared_ptr<const wire::cursor_keys> cursors)
    : first_(templates.data()), infos_(templates.size()), random_(std::random_device{}()),
      cursors_(std::move(cursors)) {
    std::vector<const template_def*> by_object;
    for (const auto& target : templates) {
        by_object.push_back(&target);
    }
    std::sort(by_object.begin(), by_object.end(), [](const auto* left, const auto* right) {
        return std::tie(left->connection, left->object, left->name) <
               std::tie(right->connection, right->object, right->name);
    });
    const auto key_columns = [](const template_def& of) {
        std::vector<std::string_view> names;
        for (const auto id : of.key) {
            names.push_back(of.fields[id].column);
        }
        return names;
    };
    for (std::uint32_t rank = 0; rank < by_object.size(); ++rank) {
        const auto* target = by_object[rank];
        template_info made;
        made.target = target;
        made.rank = rank;
        made.object = rank;
        for (std::uint32_t other = 0; other < by_object.size(); ++other) {
            if (by_object[other]->connection == target->connection &&
                by_object[other]->object == target->object) {
                made.object = std::min(made.object, other);
                made.loose_key =
                    made.loose_key || key_columns(*by_object[other]) != key_columns(*target);
            }
        }
        for (std::size_t i = 0; i < target->fields.size(); ++i) {
            const auto& field = target->fields[i];
            made.all_fields.push_back(static_cast<field_id>(i));
            const bool filled = field.source == templates::generated::now ||
                                field.source == templates::generated::uuid ||
                                field.default_text.has_value();
            if (filled) {
                made.inserted.push_back(static_cast<field_id>(i));
            }
        }
        for (const auto id : target->key) {
            made.key_sort.push_back({id, adapters::direction::ascending});
            made.loose_key = made.loose_key || !target->fields[id].collation.empty();
        }
        infos_[static_cast<std::size_t>(target - first_)] = std::move(made);
    }
}

void binder::trim() {
    constexpr std::size_t most = 1024;
    if (projections_.size() > most) {
        projections_.clear();
    }
}

const template_info& binder::info(const template_def& target) const {
    return infos_[static_cast<std::size_t>(&target - first_)];
}

failed binder::bind(const core::operation& from, core::system_time now, core::arena& memory,
                    bound_operation& into) {
    if (auto failure = bind_parts(from, now, memory, into)) {
        return failure;
    }
    if (into.target->soft_delete) {
        mark_instead(now, memory, into);
    }
    return std::nullopt;
}

void binder::mark_instead(core::system_time now, core::arena& memory, bound_operation& into) const {
    const auto& target = *into.target;
    if (into.op == core::verb::insert || into.op == core::verb::call) {
        return;
    }
    const auto mark = *target.soft_delete;
    const bool fetches = into.op == core::verb::fetch;
    const auto conditions = memory.make_span<adapters::condition>(into.where.size() + 1 +
                                                                  (fetches ? into.key.size() : 0));
    std::copy(into.where.begin(), into.where.end(), conditions.begin());
    for (std::size_t i = 0; fetches && i < into.key.size(); ++i) {
        conditions[i] = {target.key[i], adapters::comparison::eq, into.key.subspan(i, 1)};
    }
    conditions.back() = {mark, adapters::comparison::is_null, {}};
    into.where = conditions;
    if (fetches) {
        into.op = core::verb::find;
        into.key = {};
        into.sort = info(target).key_sort;
        into.limit = 1;
    } else if (into.op == core::verb::remove) {
        into.op = core::verb::update;
        const auto set = memory.make_span<assignment>(1);
        set[0].field = mark;
        set[0].value = templates::time_for(target.fields[mark], now);
        into.set = set;
    }
}

failed binder::bind_parts(const core::operation& from, core::system_time now, core::arena& memory,
                          bound_operation& into) {
    const auto& target = *into.target;
    into.op = from.op;
    into.asked = from.op;
    if (from.returning != nullptr) {
        if (auto failure = bind_fields(from.returning, "return", memory, into)) {
            return failure;
        }
    }
    switch (from.op) {
    case core::verb::fetch:
        if (from.key == nullptr) {
            return refuse(code::invalid_envelope, "'key' is missing", "key");
        }
        if (auto failure = bind_key(*from.key, memory, into)) {
            return failure;
        }
        return bind_fields(from.fields, "fields", memory, into);
    case core::verb::find:
        if (from.where != nullptr) {
            if (auto failure = bind_where(*from.where, memory, into)) {
                return failure;
            }
        }
        if (auto failure = bind_sort(from, memory, into)) {
            return failure;
        }
        if (auto failure = bind_page(from, now, memory, into)) {
            return failure;
        }
        return bind_fields(from.fields, "fields", memory, into);
    case core::verb::count:
    case core::verb::exists:
        return from.where == nullptr ? std::nullopt : bind_where(*from.where, memory, into);
    case core::verb::insert:
        if (from.data == nullptr) {
            return refuse(code::invalid_envelope, "'data' is missing", "data");
        }
        if (auto failure = bind_rows(*from.data, now, memory, into)) {
            return failure;
        }
        return from.on_conflict == nullptr ? std::nullopt
                                           : bind_conflict(*from.on_conflict, memory, into);
    case core::verb::update:
    case core::verb::remove:
        if ((from.key == nullptr) == (from.where == nullptr)) {
            return refuse(code::invalid_envelope, "give either 'key' or 'where'", "key");
        }
        if (from.key != nullptr) {
            if (auto failure = bind_key(*from.key, memory, into)) {
                return failure;
            }
        } else {
            if (auto failure = bind_where(*from.where, memory, into)) {
                return failure;
            }
            if (into.where.empty()) {
                return refuse(code::invalid_field,
                              "'where' has no condition; a write of every row is not offered",
                              "where");
            }
        }
        return bind_changes(from, memory, into);
    case core::verb::call:
        return bind_call(from, memory, into);
    case core::verb::describe:
        return std::nullopt;
    }
    return refuse(code::internal, "unknown operation of template", target.name);
}

failed binder::bind_value(const templates::field& field, const datum& given, core::arena& memory,
                          value& into) const {
    if (const auto mismatch = core::convert(given, field.type, memory, into)) {
        return refuse(code::invalid_field,
                      join(memory, {"field '", field.name, "' must be ", mismatch->expected}),
                      field.name);
    }
    // Here, and not where it is stored: what comes together there fails together.
    if (const auto expected = templates::against_form(field, into)) {
        return refuse(code::invalid_field,
                      join(memory, {"field '", field.name, "' must be ", *expected}), field.name);
    }
    return std::nullopt;
}

failed binder::bind_stored(const templates::template_def& target, const templates::field& field,
                           const datum& given, core::arena& memory, value& into) const {
    const bool nested =
        field.type.kind == core::type_kind::json || field.type.kind == core::type_kind::document;
    if (nested && deeper(given, target.limits.max_depth)) {
        return refuse(code::limit_exceeded,
                      join(memory, {"field '", field.name, "' must not be nested deeper than ",
                                    number_text(memory, target.limits.max_depth)}),
                      field.name);
    }
    return bind_value(field, given, memory, into);
}

failed binder::bind_fields(const datum* given, std::string_view member, core::arena& memory,
                           bound_operation& into) {
    const auto& target = *into.target;
    if (given == nullptr) {
        into.layout = &target.all_fields;
        into.fields = info(target).all_fields;
        return std::nullopt;
    }
    if (!given->is(datum::kind::array) || given->count == 0 ||
        given->count > target.fields.size()) {
        return refuse(code::invalid_field,
                      join(memory, {"'", member, "' must be an array of field names, each once"}),
                      member);
    }
    const auto ids = memory.make_span<field_id>(given->count);
    for (std::size_t i = 0; i < ids.size(); ++i) {
        const auto& item = given->items()[i];
        if (!item.is(datum::kind::string)) {
            return refuse(code::invalid_field,
                          join(memory, {"'", member, "' must be an array of field names"}), member);
        }
        const auto id = target.find_field(item.text);
        if (!id) {
            return unknown_field(memory, target, item.text);
        }
        if (std::find(ids.begin(), ids.begin() + static_cast<std::ptrdiff_t>(i), *id) !=
            ids.begin() + static_cast<std::ptrdiff_t>(i)) {
            return refuse(code::invalid_field, join(memory, {"'", member, "' names a field twice"}),
                          target.fields[*id].name);
        }
        ids[i] = *id;
    }
    const auto* target_address = &target;
    projection_key_.assign(reinterpret_cast<const char*>(&target_address), sizeof target_address);
    projection_key_.append(reinterpret_cast<const char*>(ids.data()), ids.size_bytes());
    auto found = projections_.find(projection_key_);
    if (found == projections_.end()) {
        auto made = std::make_unique<projection>();
        std::vector<core::row_layout::column> columns;
        for (const auto id : ids) {
            made->fields.push_back(id);
            columns.push_back({target.fields[id].name, target.fields[id].type});
        }
        made->layout = core::row_layout{std::move(columns)};
        found = projections_.emplace(projection_key_, std::move(made)).first;
    }
    into.layout = &found->second->layout;
    into.fields = found->second->fields;
    return std::nullopt;
}

failed binder::bind_key(const datum& given, core::arena& memory, bound_operation& into) const {
    const auto& target = *into.target;
    const auto values = memory.make_span<value>(target.key.size());
    if (target.key.size() == 1) {
        const auto& field = target.fields[target.key.front()];
        if (given.is(datum::kind::object) || given.is(datum::kind::array) ||
            given.is(datum::kind::null)) {
            return refuse(code::invalid_field,
                          join(memory, {"'key' must be a value of field '", field.name, "'"}),
                          field.name);
        }
        if (auto failure = bind_value(field, given, memory, values.front())) {
            return failure;
        }
        into.key = values;
        return std::nullopt;
    }
    if (!given.is(datum::kind::object)) {
        return refuse(code::invalid_field,
                      "the key has several fields: 'key' must be an object with all of them",
                      "key");
    }
    for (const auto& part : given.members()) {
        const auto id = target.find_field(part.name);
        if (!id) {
            return unknown_field(memory, target, part.name);
        }
        if (!target.fields[*id].in_key) {
            return refuse(
                code::invalid_field,
                join(memory, {"field '", target.fields[*id].name, "' is not part of the key"}),
                target.fields[*id].name);
        }
    }
    for (std::size_t i = 0; i < values.size(); ++i) {
        const auto& field = target.fields[target.key[i]];
        const auto* part = given.find(field.name);
        if (part == nullptr || part->is(datum::kind::null)) {
            return refuse(code::invalid_field,
                          join(memory, {"'key' needs a value for field '", field.name, "'"}),
                          field.name);
        }
        if (auto failure = bind_value(field, *part, memory, values[i])) {
            return failure;
        }
    }
    into.key = values;
    return std::nullopt;
}

failed binder::bind_condition(field_id id, std::string_view op, const datum& given,
                              core::arena& memory, const template_def& target,
                              condition& into) const {
    struct named {
        std::string_view name;
        comparison op;
    };
    static constexpr std::array<named, 9> known{{{"eq", comparison::eq},
                                                 {"ne", comparison::ne},
                                                 {"lt", comparison::lt},
                                                 {"le", comparison::le},
                                                 {"gt", comparison::gt},
                                                 {"ge", comparison::ge},
                                                 {"in", comparison::in},
                                                 {"prefix", comparison::prefix},
                                                 {"null", comparison::is_null}}};
    const auto* found =
        std::find_if(known.begin(), known.end(), [&](const named& one) { return one.name == op; });
    const auto& field = target.fields[id];
    if (found == known.end()) {
        return refuse(code::invalid_field,
                      join(memory, {"there is no operator '", shown(memory, op),
                                    "'; there are eq, ne, lt, le, gt, ge, in, prefix, null"}),
                      field.name);
    }
    into.field = id;
    into.op = found->op;
    if (found->op == comparison::is_null) {
        if (!given.is(datum::kind::boolean)) {
            return refuse(code::invalid_field, "operator 'null' takes true or false", field.name);
        }
        into.op = given.boolean ? comparison::is_null : comparison::is_not_null;
        return std::nullopt;
    }
    if (found->op == comparison::in) {
        if (!given.is(datum::kind::array) || given.count == 0) {
            return refuse(code::invalid_field, "operator 'in' takes an array of one value or more",
                          field.name);
        }
        if (given.count > target.limits.max_in) {
            return refuse(code::limit_exceeded,
                          join(memory, {"operator 'in' takes at most ",
                                        number_text(memory, target.limits.max_in), " values"}),
                          field.name);
        }
        const auto values = memory.make_span<value>(given.count);
        for (std::size_t i = 0; i < values.size(); ++i) {
            if (auto failure = bind_value(field, given.items()[i], memory, values[i])) {
                return failure;
            }
        }
        into.values = values;
        return std::nullopt;
    }
    if (given.is(datum::kind::null)) {
        return refuse(code::invalid_field, "compare with null by {\"null\": true}", field.name);
    }
    if (found->op == comparison::prefix && (field.type.kind != core::type_kind::string ||
                                            field.stored != templates::stored_form::usual)) {
        return refuse(code::invalid_field, "operator 'prefix' is for strings", field.name);
    }
    const auto values = memory.make_span<value>(1);
    if (found->op == comparison::prefix && !given.is(datum::kind::string)) {
        return refuse(code::invalid_field, "operator 'prefix' takes a string", field.name);
    }
    if (auto failure = bind_value(field, given, memory, values.front())) {
        return failure;
    }
    into.values = values;
    return std::nullopt;
}

failed binder::bind_where(const datum& given, core::arena& memory, bound_operation& into) const {
    const auto& target = *into.target;
    if (!given.is(datum::kind::object)) {
        return refuse(code::invalid_field, "'where' must be an object", "where");
    }
    std::size_t count = 0;
    for (const auto& part : given.members()) {
        count += part.value.is(datum::kind::object) ? part.value.count : 1U;
    }
    constexpr std::size_t most = 64;
    if (count > most) {
        return refuse(code::limit_exceeded, "'where' has more than 64 conditions", "where");
    }
    const auto conditions = memory.make_span<condition>(count);
    std::size_t made = 0;
    for (const auto& part : given.members()) {
        const auto id = target.find_field(part.name);
        if (!id) {
            return unknown_field(memory, target, part.name);
        }
        const auto& field = target.fields[*id];
        if (!field.indexed) {
            return refuse(code::invalid_field,
                          join(memory, {"field '", field.name,
                                        "' is not indexed and cannot stand in 'where'"}),
                          field.name);
        }
        if (!part.value.is(datum::kind::object)) {
            if (auto failure =
                    bind_condition(*id, "eq", part.value, memory, target, conditions[made++])) {
                return failure;
            }
            continue;
        }
        if (part.value.count == 0) {
            return refuse(code::invalid_field, "an empty object is no condition", field.name);
        }
        for (const auto& one : part.value.members()) {
            if (auto failure =
                    bind_condition(*id, one.name, one.value, memory, target, conditions[made++])) {
                return failure;
            }
        }
    }
    // One order for one meaning, so that the same filter is the same statement.
    std::sort(conditions.begin(), conditions.end(), [](const condition& a, const condition& b) {
        return std::tie(a.field, a.op) < std::tie(b.field, b.op);
    });
    into.where = conditions;
    return std::nullopt;
}

failed binder::bind_sort(const core::operation& from, core::arena& memory,
                         bound_operation& into) const {
    const auto& target = *into.target;
    if (from.sort == nullptr) {
        into.sort = info(target).key_sort;
        return std::nullopt;
    }
    if (!from.sort->is(datum::kind::array) || from.sort->count > target.fields.size()) {
        return refuse(code::invalid_field, "'sort' must be an array of field names, each once",
                      "sort");
    }
    const auto keys = memory.make_span<adapters::sort_key>(from.sort->count + target.key.size());
    std::size_t made = 0;
    const auto named_already = [&](field_id id) {
        return std::any_of(keys.begin(), keys.begin() + static_cast<std::ptrdiff_t>(made),
                           [&](const auto& one) { return one.field == id; });
    };
    for (const auto& item : from.sort->items()) {
        if (!item.is(datum::kind::string)) {
            return refuse(code::invalid_field, "'sort' must be an array of field names", "sort");
        }
        const bool descending = item.text.starts_with('-');
        const auto name = descending ? item.text.substr(1) : item.text;
        const auto id = target.find_field(name);
        if (!id) {
            return unknown_field(memory, target, name);
        }
        const auto& field = target.fields[*id];
        if (!field.indexed) {
            return refuse(code::invalid_field,
                          join(memory, {"field '", field.name,
                                        "' is not indexed and cannot stand in 'sort'"}),
                          field.name);
        }
        if (named_already(*id)) {
            return refuse(code::invalid_field, "'sort' names a field twice", field.name);
        }
        keys[made++] = {*id, descending ? adapters::direction::descending
                                        : adapters::direction::ascending};
    }
    for (const auto& key : info(target).key_sort) {
        if (!named_already(key.field)) {
            keys[made++] = key;
        }
    }
    into.sort = keys.first(made);
    return std::nullopt;
}

failed binder::bind_page(const core::operation& from, core::system_time now, core::arena& memory,
                         bound_operation& into) {
    const auto& target = *into.target;
    into.limit = target.limits.max_rows;
    if (from.limit != nullptr) {
        if (!from.limit->is(datum::kind::integer) || from.limit->integer < 1) {
            return refuse(code::invalid_field, "'limit' must be a whole number above 0", "limit");
        }
        if (from.limit->integer > static_cast<std::int64_t>(target.limits.max_rows)) {
            return refuse(code::limit_exceeded,
                          join(memory, {"'limit' can be at most ",
                                        number_text(memory, target.limits.max_rows)}),
                          "limit");
        }
        into.limit = static_cast<std::uint32_t>(from.limit->integer);
    }

    auto tag = core::combine(core::hash(std::string_view{target.name}),
                             {.high = target.version, .low = into.sort.size()});
    if (from.where != nullptr) {
        tag = core::combine(tag, core::hash(*from.where));
    }
    for (const auto& key : into.sort) {
        tag = core::combine(tag, core::hash(std::string_view{target.fields[key.field].name}));
        tag = core::combine(tag, {.high = static_cast<std::uint64_t>(key.direction), .low = 0});
    }
    into.cursor_tag = tag.high ^ tag.low;

    if (from.after.empty()) {
        return std::nullopt;
    }
    using verdict = wire::cursor_codec::verdict;
    const auto cursor = cursors_.open(from.after, into.cursor_tag, now, memory);
    if (cursor.verdict == verdict::expired) {
        return refuse(code::invalid_field, "the cursor in 'after' has expired: begin again without",
                      "after");
    }
    bool fits = cursor.verdict == verdict::good && cursor.position.size() == into.sort.size();
    for (std::size_t i = 0; fits && i < into.sort.size(); ++i) {
        fits = fits_cursor(cursor.position[i], target.fields[into.sort[i].field].type.kind);
    }
    if (!fits) {
        return refuse(code::invalid_field,
                      "'after' is not a cursor of this template, filter and sort", "after");
    }
    into.after = cursor.position;
    return std::nullopt;
}

std::string_view binder::new_uuid(core::arena& memory) {
    constexpr std::string_view hex = "0123456789abcdef";
    constexpr std::string_view form = "xxxxxxxx-xxxx-4xxx-yxxx-xxxxxxxxxxxx";
    const auto text = memory.make_span<char>(form.size());
    std::uint64_t bits = 0;
    for (std::size_t i = 0; i < form.size(); ++i) {
        if (i % 16 == 0) {
            bits = random_();
        }
        const auto digit = static_cast<std::size_t>(bits & 15U);
        bits >>= 4U;
        text[i] = form[i] == 'x' ? hex[digit] : form[i] == 'y' ? hex[(digit & 3U) | 8U] : form[i];
    }
    return {text.data(), text.size()};
}

failed binder::bind_rows(const datum& given, core::system_time now, core::arena& memory,
                         bound_operation& into) {
    const auto& target = *into.target;
    const bool many = given.is(datum::kind::array);
    if (!many && !given.is(datum::kind::object)) {
        return refuse(code::invalid_field, "'data' must be an object or an array of objects",
                      "data");
    }
    const auto rows = many ? given.items() : std::span<const datum>{&given, 1};
    if (rows.empty()) {
        return refuse(code::invalid_field, "'data' holds no row", "data");
    }
    if (rows.size() > target.limits.max_rows) {
        return refuse(code::limit_exceeded,
                      join(memory, {"one insert takes at most ",
                                    number_text(memory, target.limits.max_rows), " rows"}),
                      "data");
    }

    // All rows of one operation get the same fields: those that any of them names, and those that
    // fill themselves.
    const auto used = memory.make_span<std::uint8_t>(target.fields.size());
    for (const auto id : info(target).inserted) {
        used[id] = 1;
    }
    for (const auto& row : rows) {
        if (!row.is(datum::kind::object)) {
            return refuse(code::invalid_field, "every row of 'data' must be an object", "data");
        }
        for (const auto& part : row.members()) {
            const auto id = target.find_field(part.name);
            if (!id) {
                return unknown_field(memory, target, part.name);
            }
            const auto& field = target.fields[*id];
            if (field.write_protected || field.source == templates::generated::database) {
                return refuse(
                    code::invalid_field,
                    join(memory, {"field '", field.name, "' is protected and cannot be given"}),
                    field.name);
            }
            used[*id] = 1;
        }
    }
    std::size_t width = 0;
    for (const auto one : used) {
        width += one;
    }

    const auto made = memory.make_span<std::span<const assignment>>(rows.size());
    for (std::size_t r = 0; r < rows.size(); ++r) {
        const auto cells = memory.make_span<assignment>(width);
        std::size_t at = 0;
        for (std::size_t i = 0; i < target.fields.size(); ++i) {
            const auto& field = target.fields[i];
            const auto* part = rows[r].find(field.name);
            if (part == nullptr && field.required) {
                return refuse(code::invalid_field,
                              join(memory, {"field '", field.name, "' is required"}), field.name);
            }
            if (used[i] == 0) {
                continue;
            }
            auto& cell = cells[at++];
            cell.field = static_cast<field_id>(i);
            if (part != nullptr && !part->is(datum::kind::null)) {
                if (auto failure = bind_stored(target, field, *part, memory, cell.value)) {
                    return failure;
                }
            } else if (part == nullptr && field.source == templates::generated::now) {
                cell.value = templates::time_for(field, now);
            } else if (part == nullptr && field.source == templates::generated::uuid) {
                cell.value = value::of_text(value::kind::uuid, new_uuid(memory));
            } else if (part == nullptr && field.default_text) {
                cell.value = field.default_value;
            } else if (!field.nullable) {
                return refuse(code::invalid_field,
                              join(memory, {"field '", field.name, "' cannot be null"}),
                              field.name);
            }
        }
        made[r] = cells;
    }
    into.rows = made;
    return std::nullopt;
}

failed binder::bind_conflict(const datum& given, core::arena& memory, bound_operation& into) const {
    const auto& target = *into.target;
    constexpr std::string_view member = "on_conflict";
    if (target.soft_delete) { // the row may be one that is not there any more
        return refuse(code::unsupported, "this template only marks what is deleted", member);
    }
    if (!target.write.insert.empty()) {
        return refuse(code::unsupported, "this template inserts through a procedure", member);
    }
    const auto wrong = [&](std::string_view what) {
        return refuse(code::invalid_field, what, member);
    };
    if (!given.is(datum::kind::object)) {
        return wrong("'on_conflict' must be an object with 'do'");
    }
    for (const auto& part : given.members()) {
        if (part.name != "unique" && part.name != "do" && part.name != "set") {
            return wrong("'on_conflict' has 'unique', 'do' and 'set' only");
        }
    }
    const auto* what = given.find("do");
    const bool updates = what != nullptr && what->is(datum::kind::string) && what->text == "update";
    if (!updates &&
        (what == nullptr || !what->is(datum::kind::string) || what->text != "nothing")) {
        return wrong("'do' of 'on_conflict' must be \"update\" or \"nothing\"");
    }
    const auto names = [&](const datum& list, std::span<const field_id>& to) -> failed {
        if (!list.is(datum::kind::array) || list.count == 0 || list.count > target.fields.size()) {
            return wrong("'unique' and 'set' of 'on_conflict' must be arrays of field names, "
                         "one at least");
        }
        const auto ids = memory.make_span<field_id>(list.count);
        for (std::size_t i = 0; i < ids.size(); ++i) {
            const auto& item = list.items()[i];
            if (!item.is(datum::kind::string)) {
                return wrong("'unique' and 'set' of 'on_conflict' must be arrays of field names, "
                             "one at least");
            }
            const auto id = target.find_field(item.text);
            if (!id) {
                return unknown_field(memory, target, item.text);
            }
            ids[i] = *id;
        }
        std::sort(ids.begin(), ids.end());
        if (std::adjacent_find(ids.begin(), ids.end()) != ids.end()) {
            return wrong("'on_conflict' names a field twice");
        }
        to = ids;
        return std::nullopt;
    };
    const auto same = [](std::span<const field_id> sorted, std::span<const field_id> other) {
        return sorted.size() == other.size() &&
               std::all_of(other.begin(), other.end(), [&](field_id id) {
                   return std::binary_search(sorted.begin(), sorted.end(), id);
               });
    };
    into.unique = target.key;
    if (const auto* unique = given.find("unique"); unique != nullptr) {
        if (auto failure = names(*unique, into.unique)) {
            return failure;
        }
        const bool by_index =
            std::any_of(target.indexes.begin(), target.indexes.end(), [&](const auto& index) {
                return index.unique && index.where_json.empty() && same(into.unique, index.fields);
            });
        if (same(into.unique, target.key)) {
            into.unique = target.key;
        } else if (!by_index) {
            return wrong(
                "'unique' of 'on_conflict' must be the key or the fields of a unique index");
        }
    }
    const auto* set = given.find("set");
    if (updates && !target.write.update.empty()) { // its DBA lets nobody change a row without it
        return refuse(code::unsupported, "this template updates through a procedure", member);
    }
    if (updates != (set != nullptr)) {
        return wrong("'set' of 'on_conflict' goes with \"update\", and \"update\" with 'set'");
    }
    if (!updates) {
        return std::nullopt;
    }
    if (auto failure = names(*set, into.taken_over)) {
        return failure;
    }
    for (const auto id : into.taken_over) {
        const auto& field = target.fields[id];
        if (field.in_key || field.write_protected) {
            return refuse(code::invalid_field,
                          join(memory, {"field '", field.name,
                                        field.in_key ? "' is part of the key and cannot be changed"
                                                     : "' is protected and cannot be changed"}),
                          field.name);
        }
        const auto row = into.rows.front();
        if (given_value(row, id) == nullptr) {
            return refuse(code::invalid_field,
                          join(memory, {"field '", field.name, "' of 'set' is not in 'data'"}),
                          field.name);
        }
    }
    return std::nullopt;
}

failed binder::bind_assignments(const datum& given, std::string_view member, core::arena& memory,
                                const template_def& target,
                                std::span<const assignment>& into) const {
    if (!given.is(datum::kind::object) || given.count == 0) {
        return refuse(code::invalid_field,
                      join(memory, {"'", member, "' must be an object that names fields"}), member);
    }
    const bool expects = member == "if";
    const bool increments = member == "inc";
    const auto cells = memory.make_span<assignment>(given.count);
    for (std::size_t i = 0; i < cells.size(); ++i) {
        const auto& part = given.members()[i];
        const auto id = target.find_field(part.name);
        if (!id) {
            return unknown_field(memory, target, part.name);
        }
        const auto& field = target.fields[*id];
        auto& cell = cells[i];
        cell.field = *id;
        if (!expects && (field.write_protected || field.in_key)) {
            return refuse(code::invalid_field,
                          join(memory, {"field '", field.name,
                                        field.in_key ? "' is part of the key and cannot be changed"
                                                     : "' is protected and cannot be changed"}),
                          field.name);
        }
        if (increments) {
            if (!can_increment(field.type.kind)) {
                return refuse(code::invalid_field,
                              join(memory, {"field '", field.name, "' is not a number"}),
                              field.name);
            }
            if (const auto mismatch =
                    core::convert(part.value, increment_type(field.type), memory, cell.value)) {
                return refuse(code::invalid_field,
                              join(memory, {"the increment of field '", field.name, "' must be ",
                                            mismatch->expected}),
                              field.name);
            }
            continue;
        }
        if (part.value.is(datum::kind::null)) {
            if (!expects && !field.nullable) {
                return refuse(code::invalid_field,
                              join(memory, {"field '", field.name, "' cannot be null"}),
                              field.name);
            }
            continue;
        }
        if (expects && (field.type.kind == core::type_kind::json ||
                        field.type.kind == core::type_kind::document)) {
            return refuse(code::invalid_field, "nested data cannot be compared in 'if'",
                          field.name);
        }
        if (auto failure = bind_stored(target, field, part.value, memory, cell.value)) {
            return failure;
        }
    }
    std::sort(cells.begin(), cells.end(),
              [](const assignment& a, const assignment& b) { return a.field < b.field; });
    into = cells;
    return std::nullopt;
}

failed binder::bind_changes(const core::operation& from, core::arena& memory,
                            bound_operation& into) const {
    const auto& target = *into.target;
    if (from.expect != nullptr) {
        if (auto failure = bind_assignments(*from.expect, "if", memory, target, into.expect)) {
            return failure;
        }
    }
    if (from.op == core::verb::remove) {
        return std::nullopt;
    }
    if (from.set == nullptr && from.inc == nullptr) {
        return refuse(code::invalid_envelope, "'set' or 'inc' is missing", "set");
    }
    if (from.set != nullptr) {
        if (auto failure = bind_assignments(*from.set, "set", memory, target, into.set)) {
            return failure;
        }
    }
    if (from.inc != nullptr) {
        if (auto failure = bind_assignments(*from.inc, "inc", memory, target, into.inc)) {
            return failure;
        }
    }
    for (const auto& one : into.set) {
        for (const auto& other : into.inc) {
            if (one.field == other.field) {
                return refuse(code::invalid_field, "a field stands in 'set' and in 'inc'",
                              target.fields[one.field].name);
            }
        }
    }
    return std::nullopt;
}

failed binder::bind_call(const core::operation& from, core::arena& memory,
                         bound_operation& into) const {
    const auto& target = *into.target;
    const auto& call = *into.call;
    const auto values = memory.make_span<value>(call.args.size());
    if (from.args != nullptr && !from.args->is(datum::kind::object)) {
        return refuse(code::invalid_field, "'args' must be an object", "args");
    }
    if (from.args != nullptr) {
        for (const auto& part : from.args->members()) {
            const bool known = std::any_of(call.args.begin(), call.args.end(),
                                           [&](const auto& arg) { return arg.name == part.name; });
            if (!known) {
                std::vector<std::string> names;
                for (const auto& arg : call.args) {
                    names.push_back(arg.name);
                }
                const auto echoed = shown(memory, part.name);
                return refuse(code::invalid_field,
                              join(memory, {"call '", call.name, "' of template '", target.name,
                                            "' has no argument '", echoed, "'",
                                            core::did_you_mean(echoed, names)}),
                              echoed);
            }
        }
    }
    for (std::size_t i = 0; i < values.size(); ++i) {
        const auto& arg = call.args[i];
        const auto* part = from.args == nullptr ? nullptr : from.args->find(arg.name);
        if (part == nullptr) {
            return refuse(code::invalid_field,
                          join(memory, {"argument '", arg.name, "' is missing"}), arg.name);
        }
        if (part->is(datum::kind::null)) {
            continue;
        }
        if (const auto mismatch = core::convert(*part, arg.type, memory, values[i])) {
            return refuse(code::invalid_field,
                          join(memory, {"argument '", arg.name, "' must be ", mismatch->expected}),
                          arg.name);
        }
    }
    into.args = values;
    return std::nullopt;
}

} // namespace beds::factory
