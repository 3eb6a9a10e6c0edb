#include "table_rows.hpp"

#include "factory/bind.hpp"

#include <beds/core/error.hpp>
#include <beds/core/json.hpp>

#include <algorithm>

namespace bedsctl {
namespace {

using beds::client::value;
using beds::core::datum;
using beds::core::type_kind;
using beds::templates::template_def;

bool is_note(std::string_view name) {
    return name.substr(0, note_prefix.size()) == note_prefix;
}

bool holds(const std::vector<std::string>& names, std::string_view name) {
    return std::find(names.begin(), names.end(), name) != names.end();
}

std::string text_of(const datum& from, std::string_view name) {
    const auto* found = from.find(name);
    return found == nullptr ? std::string{} : std::string{found->text};
}

bool flag(const datum& from, std::string_view name) {
    const auto* found = from.find(name);
    return found != nullptr && found->is(datum::kind::boolean) && found->boolean;
}

[[noreturn]] void not_understood(const std::string& what) {
    throw beds::core::error(beds::core::errc::protocol,
                            "the template's description cannot be read: " + what);
}

beds::templates::field field_of(const datum& from) {
    beds::templates::field made;
    made.name = text_of(from, "name");
    made.column = made.name;
    auto type = beds::core::parse_field_type(text_of(from, "type"));
    if (!type) {
        not_understood("type '" + text_of(from, "type") + "' of field '" + made.name + "'");
    }
    made.type = std::move(*type);
    if (const auto* max = from.find("max")) {
        made.type.max = static_cast<std::uint32_t>(max->integer);
    }
    if (const auto* values = from.find("values")) {
        for (const auto& one : values->items()) {
            made.type.values.emplace_back(one.text);
        }
    }
    made.required = flag(from, "required");
    made.nullable = flag(from, "nullable");
    made.write_protected = flag(from, "protected");
    made.in_key = flag(from, "key");
    if (!made.required && !made.nullable) {
        // It has a default that describe does not tell: only a NULL that is given is wrong.
        made.default_text = "null";
    }
    return made;
}

template_def template_of(const datum& described) {
    template_def made;
    made.name = text_of(described, "name");
    made.order_by = text_of(described, "order_by");
    const auto* fields = described.find("fields");
    const auto* key = described.find("key");
    if (fields == nullptr || key == nullptr) {
        not_understood("fields or key are missing");
    }
    for (const auto& one : fields->items()) {
        made.fields.push_back(field_of(one));
    }
    for (const auto& one : key->items()) {
        const auto id = made.find_field(one.text);
        if (!id) {
            not_understood("its key is no field");
        }
        made.key.push_back(*id);
    }
    if (const auto* limits = described.find("limits")) {
        if (const auto* most = limits->find("max_rows")) {
            made.limits.max_rows = static_cast<std::uint32_t>(most->integer);
        }
    }
    return made;
}

bool insert_may_repeat(const datum& described) {
    if (const auto* operations = described.find("operations")) {
        for (const auto& one : operations->items()) {
            if (text_of(one, "op") == "insert") {
                return text_of(one, "guarantee") == "at_least_once";
            }
        }
    }
    return false;
}

refusal invalid(std::string field, std::string detail) {
    return {"INVALID_FIELD", std::move(field), std::move(detail)};
}

} // namespace

table_rows::table_rows(const datum& described)
    : target_{template_of(described)}, may_repeat_(insert_may_repeat(described)),
      binder_(std::make_unique<beds::factory::binder>(target_)) {}

table_rows::~table_rows() = default;

std::vector<std::string> table_rows::fields() const {
    std::vector<std::string> names;
    for (const auto& one : target_.front().fields) {
        names.push_back(one.name);
    }
    return names;
}

std::vector<std::string> table_rows::key() const {
    std::vector<std::string> names;
    for (const auto id : target_.front().key) {
        names.push_back(target_.front().fields[id].name);
    }
    return names;
}

const beds::templates::field* table_rows::find(std::string_view name) const {
    const auto id = target_.front().find_field(name);
    return id ? &target_.front().fields[*id] : nullptr;
}

std::vector<std::string> table_rows::not_given(const std::vector<std::string>& names,
                                               const std::vector<std::string>& ignored) const {
    std::vector<std::string> made;
    for (const auto& one : names) {
        const auto* field = find(one);
        if (field != nullptr && field->write_protected && !holds(ignored, one)) {
            made.push_back(one);
        }
    }
    return made;
}

std::string table_rows::to_ignore(const std::vector<std::string>& names,
                                  const std::vector<std::string>& ignored) const {
    const auto more = not_given(names, ignored);
    if (more.empty()) {
        return {};
    }
    std::string made;
    for (const auto* list : {&ignored, &more}) {
        for (const auto& one : *list) {
            made.append(made.empty() ? "--ignore " : ",").append(one);
        }
    }
    return made;
}

std::string table_rows::complaint(const std::vector<std::string>& columns,
                                  const std::vector<std::string>& ignored) const {
    if (const auto wrong = not_given(columns, ignored); !wrong.empty()) {
        std::string made;
        for (const auto& one : wrong) {
            made.append(made.empty() ? "" : ", ").append("'").append(one).append("'");
        }
        return (wrong.size() == 1
                    ? "field " + made + " is not given by clients; leave the column out with "
                    : "fields " + made +
                          " are not given by clients; leave their columns out with ") +
               to_ignore(columns, ignored);
    }
    for (std::size_t i = 0; i < columns.size(); ++i) {
        const auto& column = columns[i];
        if (is_note(column) || holds(ignored, column)) {
            continue;
        }
        const auto* field = find(column);
        if (field == nullptr) {
            return "template '" + name() + "' has no field '" + column + "'" +
                   target_.front().suggest_field(column) +
                   "; --ignore leaves a column out, --columns names those of a file without header";
        }
        if (std::find(columns.begin(), columns.begin() + static_cast<std::ptrdiff_t>(i), column) !=
            columns.begin() + static_cast<std::ptrdiff_t>(i)) {
            return "column '" + column + "' is there twice";
        }
    }
    for (const auto& field : target_.front().fields) {
        if (field.required && (!holds(columns, field.name) || holds(ignored, field.name))) {
            return "field '" + field.name + "' is required, and the file has no column for it";
        }
    }
    return {};
}

std::optional<refusal> table_rows::from_csv(const std::vector<csv_field>& given,
                                            const std::vector<std::string>& columns,
                                            const std::vector<std::string>& ignored,
                                            std::string_view null_text,
                                            beds::client::members& into) const {
    into.clear();
    if (given.size() != columns.size()) {
        return refusal{"INVALID_CSV",
                       {},
                       std::to_string(given.size()) + " fields where there are " +
                           std::to_string(columns.size()) + " columns"};
    }
    for (std::size_t i = 0; i < columns.size(); ++i) {
        const auto& column = columns[i];
        const auto& [text, quoted] = given[i];
        if (is_note(column) || holds(ignored, column)) {
            continue;
        }
        if (const auto at = not_utf8_at(text)) {
            return invalid(column, "field '" + column + "' is not UTF-8, at byte " +
                                       std::to_string(*at) +
                                       "; iconv -f latin1 -t utf8 converts it");
        }
        if (!quoted && text == null_text) {
            into.emplace_back(column, value{});
            continue;
        }
        const auto* field = find(column);
        const auto kind = field == nullptr ? type_kind::string : field->type.kind;
        try {
            switch (kind) {
            case type_kind::boolean:
                if (text == "true" || text == "1") {
                    into.emplace_back(column, value{true});
                } else if (text == "false" || text == "0") {
                    into.emplace_back(column, value{false});
                } else {
                    return invalid(column, "field '" + column + "' must be true or false");
                }
                break;
            case type_kind::float64:
                into.emplace_back(column, value::number(text));
                break;
            case type_kind::json:
            case type_kind::document:
                into.emplace_back(column, value::from_json(text));
                break;
            default:
                into.emplace_back(column, value{text});
            }
        } catch (const beds::core::error& wrong) {
            return invalid(column, kind == type_kind::float64
                                       ? "field '" + column + "' must be a number"
                                       : "field '" + column + "' must be JSON: " + wrong.message());
        }
    }
    return std::nullopt;
}

std::optional<refusal> table_rows::from_ndjson(std::string_view line,
                                               const std::vector<std::string>& ignored,
                                               beds::client::members& into) {
    into.clear();
    beds::core::arena memory{4096};
    datum parsed;
    if (const auto failed = beds::core::parse_json(line, memory, parsed)) {
        return refusal{"INVALID_JSON",
                       {},
                       std::string{failed->what} + ", at byte " + std::to_string(failed->offset)};
    }
    if (!parsed.is(datum::kind::object)) {
        return refusal{"INVALID_JSON", {}, "a line is one object"};
    }
    for (const auto& one : parsed.members()) {
        if (one.name == "beds:text") {
            return refusal{"INVALID_JSON", {}, "a line that was refused and is not mended yet"};
        }
        if (is_note(one.name) || holds(ignored, one.name)) {
            continue;
        }
        std::string text;
        beds::core::append_json(text, one.value);
        into.emplace_back(std::string{one.name}, value::from_json(text));
    }
    return std::nullopt;
}

std::optional<refusal> table_rows::check(const beds::client::operation& insert) {
    memory_.reset();
    beds::adapters::bound_operation bound;
    bound.target = &target_.front();
    beds::core::operation op;
    op.op = beds::core::verb::insert;
    const auto data = insert.data->view(memory_);
    op.data = &data;
    if (const auto failed = binder_->bind(op, std::chrono::system_clock::now(), memory_, bound)) {
        return refusal{std::string{to_string(failed->code)}, std::string{failed->field},
                       std::string{failed->detail}};
    }
    return std::nullopt;
}

void table_rows::append_csv_row(std::string& out, const datum& row,
                                const std::vector<std::string>& columns,
                                std::string_view null_text) const {
    std::string text;
    bool first = true;
    for (const auto& column : columns) {
        if (!first) {
            out.push_back(',');
        }
        first = false;
        const auto* cell = row.find(column);
        if (cell == nullptr || cell->is(datum::kind::null)) {
            out.append(null_text);
            continue;
        }
        const auto* field = find(column);
        const bool as_json = field != nullptr && (field->type.kind == type_kind::json ||
                                                  field->type.kind == type_kind::document);
        if (cell->is(datum::kind::string) && !as_json) {
            append_csv(out, cell->text, null_text);
        } else {
            text.clear();
            beds::core::append_json(text, *cell);
            append_csv(out, text, null_text);
        }
    }
    out.push_back('\n');
}

} // namespace bedsctl
