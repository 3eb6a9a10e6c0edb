#include "templates/builder.hpp"

#include "templates/pipeline.hpp"
#include "templates/stored_form.hpp"
#include "templates/text.hpp"

#include <beds/core/arena.hpp>
#include <beds/core/error.hpp>
#include <beds/core/json.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>

namespace beds::templates {
namespace {

using core::type_kind;
using namespace std::chrono_literals;

constexpr std::string_view default_service = "app_server";
constexpr std::size_t most_fields = 1000;
// MariaDB and MongoDB take up to 32 columns in an index, MySQL 16.
constexpr std::size_t most_index_fields = 16;
constexpr std::uint32_t most_characters = std::uint32_t{16} << 20;
// Precision of MongoDB's decimal128.
constexpr std::uint8_t rec_decimal_digits = 34;

const std::vector<std::string>& type_names() {
    static const std::vector<std::string> names{"bool",   "int8",     "int16",  "int32",   "int64",
                                                "uint8",  "uint16",   "uint32", "uint64",  "double",
                                                "string", "enum",     "uuid",   "bytes",   "date",
                                                "time",   "datetime", "json",   "document"};
    return names;
}

/// What databases and other languages call a type, and what it may be here.
std::string meant_type(std::string_view given) {
    struct other {
        std::string_view name;
        const char* meant;
    };
    static constexpr other others[]{
        {"int", "'int32' or 'int64'"},
        {"integer", "'int32' or 'int64'"},
        {"tinyint", "'int8'"},
        {"smallint", "'int16'"},
        {"mediumint", "'int32'"},
        {"bigint", "'int64'"},
        {"boolean", "'bool'"},
        {"float", "'double'"},
        {"numeric", "'decimal(precision,scale)'"},
        {"char", "'string'"},
        {"varchar", "'string'"},
        {"text", "'string'"},
        {"timestamp", "'datetime'"},
        {"binary", "'bytes'"},
        {"varbinary", "'bytes'"},
        {"blob", "'bytes'"},
    };
    std::string name{given.substr(0, given.find('('))};
    std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) {
        return static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
    });
    for (const auto& each : others) {
        if (each.name == name) {
            return std::string{"; did you mean "} + each.meant + '?';
        }
    }
    return core::did_you_mean(given, type_names());
}

std::string known_types() {
    std::string list;
    for (const std::string& name : type_names()) {
        list += name + ", ";
    }
    return list + "decimal(precision,scale)";
}

bool is_integer(type_kind kind) {
    switch (kind) {
    case type_kind::int8:
    case type_kind::int16:
    case type_kind::int32:
    case type_kind::int64:
    case type_kind::uint8:
    case type_kind::uint16:
    case type_kind::uint32:
    case type_kind::uint64:
        return true;
    default:
        return false;
    }
}

bool is_nested(type_kind kind) {
    return kind == type_kind::json || kind == type_kind::document;
}

/// A number as JSON writes it; doubles in the shortest form that reads back the same.
std::string number_text(double value) {
    std::array<char, 32> digits{};
    const auto [end, failure] = std::to_chars(digits.data(), digits.data() + digits.size(), value);
    return failure == std::errc{} ? std::string{digits.data(), end} : std::string{};
}

/// A scalar of the file as JSON text; nothing when JSON has no such value.
std::optional<std::string> json_scalar(const node& value) {
    switch (value.type) {
    case node::kind::boolean:
        return value.boolean ? "true" : "false";
    case node::kind::integer:
        return std::to_string(value.integer);
    case node::kind::real:
        return std::isfinite(value.real) ? std::optional{number_text(value.real)} : std::nullopt;
    case node::kind::text:
    case node::kind::temporal: {
        std::string text;
        core::append_json_string(text, value.text);
        return text;
    }
    case node::kind::array:
    case node::kind::table:
        return std::nullopt;
    }
    return std::nullopt;
}

struct converted {
    std::string json;
    core::value value; ///< view into `storage`
    std::shared_ptr<const std::string> storage;
    std::string wrong; ///< what was expected; empty: fine
};

/// A value of the file as one of the given type, by the rules that hold for clients.
converted convert(const node& from, const core::field_type& type) {
    converted result;
    const auto json = json_scalar(from);
    if (!json) {
        result.wrong = expected("a value of type " + core::to_string(type), from.type);
        return result;
    }
    core::arena memory{1024};
    core::datum untyped;
    if (core::parse_json(*json, memory, untyped)) {
        result.wrong = "not a value of type " + core::to_string(type);
        return result;
    }
    // A file's 0.10 has lost its second digit by the time it is read; money is written as text.
    if (type.kind == type_kind::decimal && from.is(node::kind::real)) {
        result.wrong = "a decimal is written in quotes, like \"0.00\"";
        return result;
    }
    core::value value;
    if (const auto mismatch = core::convert(untyped, type, memory, value)) {
        result.wrong = "expected " + std::string{mismatch->expected};
        return result;
    }
    result.json = *json;
    result.storage = std::make_shared<const std::string>(value.text);
    value.text = *result.storage;
    result.value = value;
    return result;
}

class builder {
public:
    builder(const node& root, const load_settings& settings, complaints& out)
        : settings_(settings), out_(out), root_(&root, keys::root, {}, out) {}

    template_def build() {
        const auto about = section("template", keys::about);
        if (!root_.has("template")) {
            out_.add(1, "template", "missing; expected the table [template] with the name");
        }
        service(about);
        identity(about);
        fields();
        key(about);
        indexes();
        protect();
        finish_fields();
        soft_delete(about);
        read();
        write();
        order_by(about);
        calls();
        limits();
        features();
        direct();
        layouts();
        return std::move(made_);
    }

private:
    table_reader section(std::string_view name, key_table known) {
        return {root_.table(name), known, std::string{name}, out_};
    }

    // [template]

    void service(const table_reader& about) {
        made_.service = default_service;
        const auto given = about.text("service");
        if (!given) {
            return;
        }
        made_.service = given->text;
        if (!is_name(given->text)) {
            complain_name(*given);
        } else if (!settings_.services.empty() &&
                   std::find(settings_.services.begin(), settings_.services.end(), given->text) ==
                       settings_.services.end()) {
            out_.add(given->line, given->key,
                     "the configuration has no broker service " + quote(given->text) +
                         core::did_you_mean(given->text, settings_.services));
        }
    }

    void identity(const table_reader& about) {
        if (about.has("store") || root_.has("template")) {
            if (const auto store = about.required_text("store", "\"rel\" or \"rec\"")) {
                if (store->text == "rec") {
                    made_.store = engine::rec;
                } else if (store->text != "rel") {
                    out_.add(store->line, store->key,
                             "expected \"rel\" (MariaDB/MySQL) or \"rec\" (MongoDB), found " +
                                 quote(store->text));
                }
                store_known_ = store->text == "rec" || store->text == "rel";
            }
            name(about);
            connection(about);
            object(about);
        }
        if (const auto version =
                about.integer("version", 1, std::numeric_limits<std::int32_t>::max())) {
            made_.version = *version;
        }
        if (const auto tla = about.text("tla")) {
            constexpr std::size_t length = 3;
            if (tla->text.size() != length || !is_name(tla->text) ||
                tla->text.find('_') != std::string::npos) {
                out_.add(tla->line, tla->key,
                         "expected three lower-case letters or digits, found " + quote(tla->text));
            } else {
                made_.tla = tla->text;
            }
        }
        made_.closed = about.flag("closed").value_or(false);
    }

    void name(const table_reader& about) {
        const auto given = about.required_text("name", name_rule);
        if (!given) {
            return;
        }
        made_.name = given->text;
        if (!is_name(given->text)) {
            complain_name(*given);
            return;
        }
        std::vector<std::string_view> reserved{"catalog", "rel", "rec"};
        for (const auto& [connection_name, store] : settings_.connections) {
            reserved.emplace_back(connection_name);
        }
        if (std::find(reserved.begin(), reserved.end(), given->text) != reserved.end()) {
            out_.add(given->line, given->key,
                     quote(given->text) +
                         " is reserved: 'catalog' and the names of connections cannot name a "
                         "template");
        }
    }

    void connection(const table_reader& about) {
        made_.connection = std::string{to_string(made_.store)};
        if (const auto given = about.text("connection")) {
            made_.connection = given->text;
            if (!is_name(given->text)) {
                complain_name(*given);
                return;
            }
        } else if (about.has("connection")) {
            return;
        }
        if (settings_.connections.empty() || !store_known_) {
            return;
        }
        std::vector<std::string> known;
        for (const auto& [connection_name, store] : settings_.connections) {
            if (connection_name != made_.connection) {
                known.push_back(connection_name);
                continue;
            }
            if (store != made_.store) {
                about.complain("connection", "connection '" + made_.connection + "' is a '" +
                                                 std::string{to_string(store)} +
                                                 "' database, and the template's store is '" +
                                                 std::string{to_string(made_.store)} + "'");
            }
            return;
        }
        about.complain("connection", "the configuration has no database service " +
                                         quote(made_.connection) +
                                         core::did_you_mean(made_.connection, known));
    }

    void object(const table_reader& about) {
        const auto given = about.required_text("object", "the table or collection");
        if (!given || !check_identifier(*given, identifier::object)) {
            return;
        }
        made_.object = given->text;
        if (settings_.wbid.empty()) {
            return;
        }
        std::string prefix = settings_.wbid;
        if (!prefix.ends_with('_')) {
            prefix += '_';
        }
        std::string_view bare = made_.object;
        if (const auto dot = bare.find('.'); made_.store == engine::rel && dot != bare.npos) {
            bare.remove_prefix(dot + 1);
        }
        if (!bare.starts_with(prefix)) {
            out_.add(given->line, given->key,
                     "the configuration's wbid asks for a name that begins with '" + prefix +
                         "', found " + quote(given->text));
        }
    }

    // [fields]

    void fields() {
        const node* table = root_.table("fields");
        if (table == nullptr) {
            if (!root_.has("fields")) {
                out_.add(1, "fields", "missing; expected the table [fields]");
            }
            return;
        }
        if (table->members.empty()) {
            out_.add(table->line, "fields", "expected at least one field");
        }
        if (table->members.size() > most_fields) {
            out_.add(table->line, "fields",
                     "expected at most " + std::to_string(most_fields) + " fields, found " +
                         std::to_string(table->members.size()));
            return;
        }
        for (const toml_text::member& each : table->members) {
            field made;
            made.name = each.name;
            known_.push_back({each.line, join("fields", each.name), false, {}});
            if (!is_name(each.name)) {
                complain_name({each.name, known_.back().path, each.line});
            }
            if (each.value.is(node::kind::table)) {
                one_field(each, made);
            } else {
                out_.add(each.line, known_.back().path,
                         expected("a table like { type = \"int64\" }", each.value.type));
            }
            made_.fields.push_back(std::move(made));
        }
    }

    void one_field(const toml_text::member& from, field& made) {
        const table_reader in{&from.value, keys::field, known_.back().path, out_};
        field_type(in, made);
        made.required = in.flag("required").value_or(false);
        known_.back().nullable = in.flag("nullable");
        if (const auto word = in.text("sensitivity")) {
            if (!is_name(word->text)) {
                complain_name(*word);
            }
            made.sensitivity = word->text;
        }
        column(in, made);
        if (known_.back().typed) {
            collation(in, made);
            stored_as(in, made);
            generator(in, made);
            default_value(in, made);
        }
        if (made.required && in.has("default")) {
            in.complain("required", "a required field has no default: an insert always gives it");
        }
        if (made.required && in.has("generated")) {
            in.complain("required",
                        "a generated field is not required: an insert need not give it");
        }
    }

    void field_type(const table_reader& in, field& made) {
        const auto text = in.required_text("type", "a type, for example \"int64\"");
        if (!text) {
            return;
        }
        auto type = core::parse_field_type(text->text);
        if (!type) {
            complain_type(*text);
            return;
        }
        known_.back().typed = true;
        if (type->kind == type_kind::decimal && made_.store == engine::rec &&
            type->precision > rec_decimal_digits) {
            in.complain("type", "MongoDB keeps decimals of at most 34 digits, found " +
                                    std::to_string(type->precision));
        }
        if (const auto max = in.integer("max", 1, most_characters)) {
            if (type->kind == type_kind::string || type->kind == type_kind::bytes) {
                type->max = *max;
            } else {
                in.complain("max", "only string and bytes have a max; this field is " +
                                       core::to_string(*type));
            }
        }
        enum_values(in, *type);
        made.type = std::move(*type);
    }

    void enum_values(const table_reader& in, core::field_type& type) {
        if (type.kind != type_kind::enumeration) {
            if (in.has("values")) {
                in.complain("values",
                            "only enum has values; this field is " + core::to_string(type));
            }
            return;
        }
        if (!in.has("values")) {
            in.complain("values", "missing; an enum lists what it may be");
            known_.back().typed = false;
            return;
        }
        for (located& each : in.texts("values")) {
            if (each.text.empty()) {
                out_.add(each.line, each.key, "expected text, found an empty one");
            } else if (std::find(type.values.begin(), type.values.end(), each.text) !=
                       type.values.end()) {
                out_.add(each.line, each.key, quote(each.text) + " is there twice");
            } else {
                type.values.push_back(std::move(each.text));
            }
        }
        if (const node* list = in.find("values");
            list->is(node::kind::array) && list->items.empty()) {
            in.complain("values", "expected at least one value");
        }
        known_.back().typed = !type.values.empty();
    }

    void collation(const table_reader& in, field& made) {
        const auto given = in.text("collation");
        if (!given || !check_identifier(*given, identifier::collation)) {
            return;
        }
        made.collation = given->text;
        if (made.type.kind != type_kind::string && made.type.kind != type_kind::enumeration) {
            in.complain("collation", "only string and enum have a collation; this field is " +
                                         core::to_string(made.type));
        } else if (made_.store == engine::rec) {
            in.complain("collation", "collations on 'rec' are not available in this version: "
                                     "MongoDB compares binary");
        }
    }

    void stored_as(const table_reader& in, field& made) {
        const auto given = in.text("stored");
        if (!given) {
            return;
        }
        const auto form = parse_stored_form(given->text);
        if (made_.store != engine::rec) {
            in.complain("stored", "only collections ('rec') have values in several forms; a "
                                  "column's type says what it stores");
            return;
        }
        if (!form) {
            out_.add(given->line, given->key,
                     "expected \"date\" or \"object_id\", found " + quote(given->text) +
                         core::did_you_mean(given->text,
                                            std::array<std::string, 2>{"date", "object_id"}));
            return;
        }
        made.stored = *form;
        if (made.type.kind != type_of(*form)) {
            in.complain("stored",
                        '"' + given->text +
                            (*form == stored_form::date ? "\" is for datetimes; this field is "
                                                        : "\" is for strings; this field is ") +
                            core::to_string(made.type));
        } else if (*form == stored_form::object_id) {
            object_id(in, made);
        }
    }

    void object_id(const table_reader& in, field& made) {
        constexpr std::uint32_t digits = 24;
        if (made.type.max != 0 && made.type.max != digits) {
            in.complain("max", "an ObjectId has 24 digits, found " + std::to_string(made.type.max) +
                                   "; leave it out");
        }
        made.type.max = digits;
        if (in.has("default")) {
            in.complain("default", "an ObjectId has no default");
        }
    }

    void generator(const table_reader& in, field& made) {
        const auto given = in.text("generated");
        if (!given) {
            return;
        }
        if (given->text == "database") {
            made.source = generated::database;
            if (made_.store == engine::rec) {
                in.complain("generated", "on 'rec' the database makes no values: use \"uuid\" or "
                                         "\"now\", or let the client give it");
            } else if (!is_integer(made.type.kind)) {
                in.complain("generated", "the database makes integers only; this field is " +
                                             core::to_string(made.type));
            }
        } else if (given->text == "now") {
            made.source = generated::now;
            if (made.type.kind != type_kind::datetime) {
                in.complain("generated",
                            "\"now\" is for datetime; this field is " + core::to_string(made.type));
            }
        } else if (given->text == "uuid") {
            made.source = generated::uuid;
            if (made.type.kind != type_kind::uuid) {
                in.complain("generated",
                            "\"uuid\" is for uuid; this field is " + core::to_string(made.type));
            }
        } else {
            static const std::vector<std::string> known{"database", "now", "uuid"};
            in.complain("generated", "expected \"database\", \"now\" or \"uuid\", found " +
                                         quote(given->text) +
                                         core::did_you_mean(given->text, known));
        }
    }

    void default_value(const table_reader& in, field& made) {
        const node* given = in.find("default");
        if (given == nullptr) {
            return;
        }
        if (in.has("generated")) {
            in.complain("default", "a generated field has no default");
            return;
        }
        if (is_nested(made.type.kind)) {
            in.complain("default", "defaults of " + core::to_string(made.type) +
                                       " fields are not available in this version");
            return;
        }
        auto value = convert(*given, made.type);
        if (!value.wrong.empty()) {
            in.complain("default", std::move(value.wrong));
            return;
        }
        made.default_text = std::move(value.json);
        made.default_value = value.value;
        made.default_storage = std::move(value.storage);
    }

    void column(const table_reader& in, field& made) {
        if (const auto given = in.text("column")) {
            if (check_identifier(*given, identifier::column)) {
                made.column = given->text;
            }
        } else if (!in.has("column") && is_name(made.name)) {
            made.column = made_.tla.empty() ? made.name : made.name + '_' + made_.tla;
            if (!is_identifier(made.column, identifier::column, made_.store)) {
                in.complain("column",
                            quote(made.column) + " cannot name a column: expected " +
                                std::string{identifier_rule(identifier::column, made_.store)});
                made.column.clear();
            }
        }
        if (made.column.empty()) {
            return;
        }
        for (const field& other : made_.fields) {
            if (same_column(other.column, made.column, made_.store)) {
                in.complain("column", "column " + quote(made.column) +
                                          " is already that of field '" + other.name + "'");
            }
        }
    }

    void finish_fields() {
        std::size_t by_database = 0;
        for (std::size_t i = 0; i < made_.fields.size(); ++i) {
            field& each = made_.fields[i];
            const known_field& known = known_[i];
            each.nullable = known.nullable.value_or(!each.required && !each.in_key &&
                                                    each.source == generated::no);
            if (each.in_key && known.nullable.value_or(false)) {
                out_.add(known.line, known.path + ".nullable", "a key field is never null");
            }
            if (each.required && each.write_protected) {
                out_.add(known.line, known.path + ".required",
                         "a protected field cannot be required: no client can give it");
            }
            if (each.default_text && each.stored == stored_form::date) {
                if (const auto expected = against_form(each, each.default_value)) {
                    out_.add(known.line, known.path + ".default",
                             "expected " + std::string{*expected});
                }
            }
            // MongoDB would take a document without it.
            each.required = each.required || (made_.store == engine::rec && !each.nullable &&
                                              !each.write_protected &&
                                              each.source == generated::no && !each.default_text);
            if (each.source == generated::database && is_integer(each.type.kind) &&
                made_.store == engine::rel) {
                ++by_database;
                if (!each.in_key && key_known_) {
                    out_.add(known.line, known.path + ".generated",
                             "\"database\" is for a field of the key");
                } else if (by_database == 2) {
                    out_.add(known.line, known.path + ".generated",
                             "the database generates one field of a template at most");
                }
            }
        }
    }

    // key, [[index]], [protect]

    /// The fields that a list of names means; complains about what is not a field or is there
    /// twice.
    std::vector<field_id> named_fields(const std::vector<located>& names) {
        std::vector<field_id> found;
        for (const located& each : names) {
            const auto id = find_field(each);
            if (!id) {
                continue;
            }
            if (std::find(found.begin(), found.end(), *id) != found.end()) {
                out_.add(each.line, each.key, quote(each.text) + " is there twice");
                continue;
            }
            found.push_back(*id);
        }
        return found;
    }

    std::optional<field_id> find_field(const located& named) {
        const auto id = made_.find_field(named.text);
        if (!id && root_.has("fields")) {
            out_.add(named.line, named.key,
                     "no field " + quote(named.text) + " in [fields]" +
                         made_.suggest_field(named.text));
        }
        return id;
    }

    std::vector<field_id> ordered_fields(const table_reader& in, std::string_view key) {
        const node* list = in.array(key);
        if (list == nullptr) {
            if (!in.has(key)) {
                in.complain(key, "missing; expected an array of field names");
            }
            return {};
        }
        if (list->items.empty() || list->items.size() > most_index_fields) {
            in.complain(key, "expected 1 to " + std::to_string(most_index_fields) +
                                 " field names, found " + std::to_string(list->items.size()));
            return {};
        }
        return named_fields(in.texts(key));
    }

    void key(const table_reader& about) {
        if (!root_.has("template")) {
            return;
        }
        const auto before = out_.count();
        made_.key = ordered_fields(about, "key");
        key_known_ = out_.count() == before;
        for (const field_id id : made_.key) {
            field& each = made_.fields[id];
            each.in_key = true;
            each.indexed = true;
            if (is_nested(each.type.kind) || each.type.kind == type_kind::float64) {
                about.complain("key", "field '" + each.name + "' of type " +
                                          core::to_string(each.type) + " cannot be in a key");
            }
        }
    }

    void indexes() {
        const node* list = root_.tables("index", "index");
        if (list == nullptr) {
            return;
        }
        for (std::size_t i = 0; i < list->items.size(); ++i) {
            const node& item = list->items[i];
            if (!item.is(node::kind::table)) {
                out_.add(item.line, at("index", i), expected("a table [[index]]", item.type));
                continue;
            }
            one_index({&item, keys::index, at("index", i), out_});
        }
    }

    void one_index(const table_reader& in) {
        index made;
        made.fields = ordered_fields(in, "fields");
        made.unique = in.flag("unique").value_or(false);
        for (const field_id id : made.fields) {
            if (is_nested(made_.fields[id].type.kind)) {
                in.complain("fields", "field '" + made_.fields[id].name + "' of type " +
                                          core::to_string(made_.fields[id].type) +
                                          " cannot be in an index");
            }
        }
        expiry(in, made);
        partial(in, made);
        for (const index& other : made_.indexes) {
            if (!made.fields.empty() && other.fields == made.fields &&
                other.where_json == made.where_json) {
                in.complain("fields", "these fields have an index already");
                break;
            }
        }
        // A partial index helps only those who repeat its condition: others would scan.
        if (!in.has("where")) {
            for (const field_id id : made.fields) {
                made_.fields[id].indexed = true;
            }
        }
        made_.indexes.push_back(std::move(made));
    }

    void expiry(const table_reader& in, index& made) {
        const auto after = in.duration("expire_after", "1s to 36500d", 1s, 24h * 36500);
        if (!after) {
            return;
        }
        made.expire_after = std::chrono::duration_cast<std::chrono::seconds>(*after);
        if (*made.expire_after != *after) {
            in.complain("expire_after", "expected whole seconds");
        }
        if (made.fields.size() == 1 && known_[made.fields.front()].typed &&
            made_.fields[made.fields.front()].type.kind != type_kind::datetime) {
            in.complain("expire_after",
                        "field '" + made_.fields[made.fields.front()].name +
                            "' must be of type datetime, and is " +
                            core::to_string(made_.fields[made.fields.front()].type));
        } else if (made.fields.size() > 1) {
            in.complain("expire_after", "an index that expires has one field");
        } else if (made.fields.size() == 1 && made_.store == engine::rec) {
            made_.fields[made.fields.front()].stored = stored_form::date; // its TTL needs that
        }
    }

    void partial(const table_reader& in, index& made) {
        const node* where = in.table("where");
        if (in.has("where") && store_known_ && made_.store == engine::rel) {
            in.complain("where", "partial indexes are not available on 'rel': MariaDB has none");
            return;
        }
        if (where == nullptr) {
            return;
        }
        if (where->members.empty()) {
            in.complain("where", "expected at least one field = value");
        }
        std::string json;
        for (const toml_text::member& each : where->members) {
            const located named{each.name, join(in.path("where"), each.name), each.line};
            const auto id = find_field(named);
            if (!id || !known_[*id].typed) {
                continue;
            }
            const auto value = convert(each.value, made_.fields[*id].type);
            if (!value.wrong.empty()) {
                out_.add(named.line, named.key, value.wrong);
                continue;
            }
            if (const auto expected = against_form(made_.fields[*id], value.value)) {
                out_.add(named.line, named.key, "expected " + std::string{*expected});
                continue;
            }
            json += json.empty() ? '{' : ',';
            core::append_json_string(json, each.name);
            json += ':' + value.json;
        }
        made.where_json = json.empty() ? json : json + '}';
    }

    void protect() {
        const auto in = section("protect", keys::protect);
        for (const field_id id : named_fields(in.texts("protected"))) {
            made_.fields[id].write_protected = true;
        }
    }

    void soft_delete(const table_reader& about) {
        const auto named = about.text("soft_delete");
        const auto id = named ? find_field(*named) : std::nullopt;
        if (!id) {
            return;
        }
        field& each = made_.fields[*id];
        if (known_[*id].typed && each.type.kind != type_kind::datetime) {
            out_.add(named->line, named->key,
                     "field " + quote(each.name) + " must be of type datetime, and is " +
                         core::to_string(each.type));
        } else if (!each.nullable || each.source != generated::no || each.default_text) {
            out_.add(named->line, named->key,
                     "field " + quote(each.name) +
                         " must be nullable, without default and not generated: a row that is "
                         "there has none");
        }
        each.write_protected = true;
        made_.soft_delete = *id;
    }

    // [read], [write]

    void read() {
        const auto in = section("read", keys::read);
        if (const auto view = in.text("view");
            view && check_identifier(*view, identifier::object)) {
            made_.read_view = view->text;
        }
    }

    void write() {
        const auto in = section("write", keys::write);
        if (root_.has("write") && store_known_ && made_.store == engine::rec) {
            root_.complain("write", "MongoDB has no procedures");
            return;
        }
        const auto procedure = [&](std::string_view key, std::string& to) {
            if (const auto given = in.text(key);
                given && check_identifier(*given, identifier::procedure)) {
                to = given->text;
            }
        };
        procedure("insert", made_.write.insert);
        procedure("update", made_.write.update);
        procedure("delete", made_.write.remove);
        made_.write.dynamic_sql = in.flag("dynamic_sql").value_or(false);
        if (made_.has_rows_that_expire() && !made_.write.remove.empty()) {
            in.complain("delete", "rows with `expire_after` are deleted without this procedure: "
                                  "leave one of the two out");
        }
        if (made_.soft_delete && (!made_.write.update.empty() || !made_.write.remove.empty())) {
            in.complain(made_.write.remove.empty() ? "update" : "delete",
                        "rows with `soft_delete` are not deleted by a procedure: leave one of the "
                        "two out");
        }
        errors(in, made_.write_errors);
    }

    void errors(const table_reader& in, std::map<std::string, std::string, std::less<>>& to) {
        const node* table = in.table("errors");
        if (table == nullptr) {
            return;
        }
        for (const toml_text::member& each : table->members) {
            const auto path = join(in.path("errors"), each.name);
            if (!is_sqlstate(each.name)) {
                out_.add(each.line, path,
                         "expected an SQLSTATE of five digits or upper-case letters, for example "
                         "\"45001\"");
                continue;
            }
            const std::string_view state_class = std::string_view{each.name}.substr(0, 2);
            if (state_class == "00" || state_class == "01" || state_class == "08" ||
                state_class == "40") {
                out_.add(each.line, path,
                         "SQLSTATEs of class " + std::string{state_class} +
                             " are the server's own (success, warning, lost connection, "
                             "deadlock); a procedure signals 45000 to 45999");
                continue;
            }
            if (!each.value.is(node::kind::text)) {
                out_.add(each.line, path, expected("text", each.value.type));
            } else if (!is_reason(each.value.text)) {
                out_.add(each.line, path,
                         "expected a word like INSUFFICIENT_FUNDS (upper-case letters, digits, "
                         "'_', at most 64), found " +
                             quote(each.value.text));
            } else {
                to.emplace(each.name, each.value.text);
            }
        }
    }

    // [calls.*]

    void calls() {
        const node* table = root_.table("calls");
        if (table == nullptr) {
            return;
        }
        for (const toml_text::member& each : table->members) {
            const auto path = join("calls", each.name);
            if (!is_name(each.name)) {
                complain_name({each.name, path, each.line});
            } else if (core::parse_verb(each.name)) {
                out_.add(each.line, path,
                         quote(each.name) + " is an operation: give the call another name");
            }
            if (!each.value.is(node::kind::table)) {
                out_.add(each.line, path,
                         expected("a table [calls." + each.name + "]", each.value.type));
                continue;
            }
            one_call(each.name, {&each.value, keys::call, path, out_});
        }
    }

    void one_call(const std::string& call_name, const table_reader& in) {
        call made;
        made.name = call_name;
        if (const auto given = in.required_text("class", "\"read\", \"write\" or \"bulk\"")) {
            if (const auto parsed = core::parse_op_class(given->text)) {
                made.op_class = *parsed;
            } else {
                static const std::vector<std::string> known{"read", "write", "bulk"};
                in.complain("class", "expected \"read\", \"write\" or \"bulk\", found " +
                                         quote(given->text) +
                                         core::did_you_mean(given->text, known));
            }
        }
        made.args = arguments(in, "args");
        made.out = arguments(in, "out");
        inouts(in, made);
        made.out_layout = layout(made.out);
        returns(in, made);
        errors(in, made.errors);
        program(in, made);
        ordered(in, made);
        made_.calls.push_back(std::move(made));
    }

    /// They stand where their arguments stand: only their order says which is which.
    void inouts(const table_reader& in, call& made) {
        auto next = made.args.begin();
        for (const argument& each : made.out) {
            const auto same = [&](const argument& arg) { return arg.name == each.name; };
            const auto arg = std::find_if(made.args.begin(), made.args.end(), same);
            if (arg == made.args.end()) {
                next = made.args.end();
                continue;
            }
            if (next == made.args.end() || arg < next) {
                in.complain("out", quote(each.name) +
                                       " is an argument, too, and so INOUT: expected before "
                                       "those that are OUT only, in the order of the arguments");
                return;
            }
            if (!(arg->type == each.type)) {
                in.complain("out", quote(each.name) + " is an argument of type " +
                                       core::to_string(arg->type) + ", found " +
                                       core::to_string(each.type));
            }
            ++made.inout;
            next = arg + 1;
        }
    }

    void program(const table_reader& in, call& made) {
        std::string given_ones;
        std::string_view last;
        unsigned count = 0;
        for (const std::string_view key : {"procedure", "function", "pipeline"}) {
            if (in.has(key)) {
                given_ones += (count++ == 0 ? "" : " and ") + std::string{key};
                last = key;
            }
        }
        if (count != 1) {
            out_.add(in.line({}), in.path(count == 0 ? "procedure" : last),
                     count == 0
                         ? "missing; expected a procedure or a function ('rel'), or a "
                           "pipeline ('rec')"
                         : "expected one of procedure, function and pipeline, found " + given_ones);
            return;
        }
        made.dynamic_sql = in.flag("dynamic_sql").value_or(false);
        if (const auto given = in.text("procedure")) {
            if (store_known_ && made_.store == engine::rec) {
                in.complain("procedure", "MongoDB has no procedures; expected a pipeline");
            } else if (check_identifier(*given, identifier::procedure)) {
                made.routine = given->text;
            }
        }
        if (const auto given = in.text("function")) {
            function(in, *given, made);
        }
        if (const auto given = in.text("pipeline")) {
            if (store_known_ && made_.store == engine::rel) {
                in.complain("pipeline", "pipelines are MongoDB's; expected a procedure");
                return;
            }
            pipeline(in, *given, made);
        }
    }

    void function(const table_reader& in, const located& given, call& made) {
        if (store_known_ && made_.store == engine::rec) {
            in.complain("function", "MongoDB has no stored functions; expected a pipeline");
        } else if (check_identifier(given, identifier::procedure)) {
            made.routine = given.text + "()";
        }
        if (made.out.size() != 1 || made.inout != 0) {
            in.complain("out", "a function gives one value: expected one pair like "
                               "[\"total\", \"decimal(18,2)\"] with a name of its own");
        }
        if (!made.returns.empty()) {
            in.complain("returns", "a function has no result sets");
        }
    }

    void pipeline(const table_reader& in, const located& given, call& made) {
        for (auto& wrong : check_pipeline(given.text, made.args)) {
            out_.add(given.line, given.key, std::move(wrong));
        }
        made.pipeline = given.text;
        if (made.op_class == core::op_class::write && in.has("class")) {
            in.complain("class", "a pipeline only reads; expected \"read\" or \"bulk\"");
        }
        if (in.has("out")) {
            in.complain("out", "a pipeline has no OUT parameters");
        }
        if (in.has("errors")) {
            in.complain("errors", "a pipeline signals no SQLSTATEs");
        }
        if (in.has("dynamic_sql")) {
            in.complain("dynamic_sql", "a pipeline is never made at run time");
        }
        if (made.returns.size() != 1) {
            in.complain("returns", "a pipeline returns one set: expected one [[calls." + made.name +
                                       ".returns]], found " + std::to_string(made.returns.size()));
        }
    }

    std::vector<argument> arguments(const table_reader& in, std::string_view key) {
        std::vector<argument> found;
        const node* list = in.array(key);
        if (list == nullptr) {
            return found;
        }
        for (std::size_t i = 0; i < list->items.size(); ++i) {
            const node& pair = list->items[i];
            const auto path = at(in.path(key), i);
            if (!pair.is(node::kind::array) || pair.items.size() != 2 ||
                !pair.items[0].is(node::kind::text) || !pair.items[1].is(node::kind::text)) {
                out_.add(pair.line, path, "expected a pair like [\"amount\", \"decimal(18,2)\"]");
                continue;
            }
            argument made{pair.items[0].text, {}};
            if (!is_name(made.name)) {
                complain_name({made.name, path, pair.items[0].line});
            }
            if (std::any_of(found.begin(), found.end(),
                            [&](const argument& other) { return other.name == made.name; })) {
                out_.add(pair.line, path, quote(made.name) + " is there twice");
            }
            if (auto type = core::parse_field_type(pair.items[1].text)) {
                if (type->kind == type_kind::enumeration) {
                    out_.add(pair.items[1].line, path,
                             "an enum cannot be given here; expected string");
                }
                made.type = std::move(*type);
            } else {
                complain_type({pair.items[1].text, path, pair.items[1].line});
            }
            found.push_back(std::move(made));
        }
        return found;
    }

    void returns(const table_reader& in, call& made) {
        const node* list = in.tables("returns", in.path("returns"));
        if (list == nullptr) {
            return;
        }
        for (std::size_t i = 0; i < list->items.size(); ++i) {
            const node& item = list->items[i];
            const auto path = at(in.path("returns"), i);
            if (!item.is(node::kind::table)) {
                out_.add(item.line, path, expected("a table with name and fields", item.type));
                continue;
            }
            const table_reader set{&item, keys::returns, path, out_};
            result_set result;
            if (const auto given = set.required_text("name", name_rule)) {
                result.name = given->text;
                if (!is_name(given->text)) {
                    complain_name(*given);
                }
                if (std::any_of(made.returns.begin(), made.returns.end(),
                                [&](const auto& other) { return other.name == result.name; })) {
                    set.complain("name", quote(result.name) + " is there twice");
                }
            }
            const auto columns = arguments(set, "fields");
            const node* given = set.find("fields");
            if (given == nullptr || (given->is(node::kind::array) && given->items.empty())) {
                set.complain("fields", "expected at least one pair like "
                                       "[\"total\", \"decimal(18,2)\"]");
            }
            result.layout = layout(columns);
            made.returns.push_back(std::move(result));
        }
    }

    // order_by

    /// The value must be known of every write before anything is done, and read the same
    /// everywhere.
    void order_by(const table_reader& about) {
        const auto given = about.text("order_by");
        if (!given) {
            return;
        }
        const auto id = made_.find_field(given->text);
        if (!id) {
            out_.add(given->line, given->key,
                     "no field " + quote(given->text) + " in [fields]" +
                         made_.suggest_field(given->text));
            return;
        }
        const field& by = made_.fields[*id];
        const auto complain = [&](const std::string& why) {
            out_.add(given->line, given->key, why);
        };
        if (std::find(made_.key.begin(), made_.key.end(), *id) == made_.key.end()) {
            complain(quote(by.name) + " is not in the key: a write by key would not tell it");
        } else if (by.source != generated::no) {
            complain(quote(by.name) + " is generated: who inserts would not know it");
        }
        switch (by.type.kind) {
        case type_kind::boolean:
        case type_kind::decimal:
        case type_kind::enumeration:
        case type_kind::bytes:
        case type_kind::time:
        case type_kind::datetime: // the others are in no key
            complain("expected a field that is a whole number, string, uuid or date; " +
                     quote(by.name) + " is " + core::to_string(by.type));
            break;
        default:
            break;
        }
        made_.order_by = by.name;
    }

    void ordered(const table_reader& in, const call& made) {
        const auto id = made_.find_field(made_.order_by);
        if (!id || made.op_class == core::op_class::read) {
            return;
        }
        const field& by = made_.fields[*id];
        if (made.op_class == core::op_class::bulk) {
            in.complain("class", "bulk calls keep no order: expected \"write\" or \"read\" in a "
                                 "template with order_by");
        } else if (std::none_of(made.args.begin(), made.args.end(), [&](const argument& arg) {
                       return arg.name == by.name && arg.type.kind == by.type.kind;
                   })) {
            in.complain(in.has("args") ? "args" : "class",
                        "the template has order_by: expected the argument " + quote(by.name) +
                            " of type " + core::to_string(by.type));
        }
    }

    // [limits], [features], direct

    void limits() {
        const auto in = section("limits", keys::limits);
        constexpr std::uint32_t most_rows = 100'000;
        constexpr std::uint32_t most_in = 10'000;
        made_.limits.max_rows =
            in.integer("max_rows", 1, most_rows).value_or(made_.limits.max_rows);
        made_.limits.max_in = in.integer("max_in", 1, most_in).value_or(made_.limits.max_in);
        constexpr std::uint32_t most_bytes = 1U << 30U;
        if (in.has("max_bytes")) {
            made_.limits.max_bytes = in.integer("max_bytes", 256, most_bytes).value_or(0);
        }
        constexpr std::uint32_t most_depth = 100; // no request holds more
        made_.limits.max_depth =
            in.integer("max_depth", 1, most_depth).value_or(made_.limits.max_depth);
        made_.limits.deadline = in.duration("deadline", "10ms to 10m", 10ms, 10min);
    }

    void features() {
        const node* table = root_.table("features");
        const auto in = section("features", keys::features);
        if (table == nullptr) {
            return;
        }
        for (const toml_text::member& each : table->members) {
            const auto known =
                std::find_if(keys::features.begin(), keys::features.end(),
                             [&](const key_row& row) { return row.name == each.name; });
            const bool off = each.value.is(node::kind::boolean) && !each.value.boolean;
            if (known != keys::features.end() && !off) {
                in.complain(each.name,
                            "feature '" + each.name + "' is not available in this version");
            }
        }
    }

    void direct() {
        if (settings_.direct != direct_access::deny || made_.object.empty() ||
            made_.store == engine::rec) { // which has neither views nor procedures
            return;
        }
        const auto refuse = [&](std::string_view section_name, std::string_view key,
                                const std::string& given, std::string_view what) {
            if (given.empty()) {
                out_.add(root_.line(section_name),
                         std::string{section_name} + '.' + std::string{key},
                         "missing; the configuration's direct = \"deny\" asks for " +
                             std::string{what} + " instead of access to the object itself");
            }
        };
        refuse("read", "view", made_.read_view, "a view");
        refuse("write", "insert", made_.write.insert, "a procedure");
        refuse("write", "update", made_.write.update, "a procedure");
        refuse("write", "delete", made_.write.remove, "a procedure");
    }

    void layouts() {
        std::vector<core::row_layout::column> every;
        for (const field& each : made_.fields) {
            every.push_back({each.name, each.type});
        }
        std::vector<core::row_layout::column> keys_only;
        for (const field_id id : made_.key) {
            keys_only.push_back({made_.fields[id].name, made_.fields[id].type});
        }
        made_.all_fields = core::row_layout{std::move(every)};
        made_.key_layout = core::row_layout{std::move(keys_only)};
    }

    static core::row_layout layout(const std::vector<argument>& columns) {
        std::vector<core::row_layout::column> made;
        for (const argument& each : columns) {
            made.push_back({each.name, each.type});
        }
        return core::row_layout{std::move(made)};
    }

    // Messages that several keys share

    void complain_name(const located& given) {
        out_.add(given.line, given.key,
                 "expected " + std::string{name_rule} + ", found " + quote(given.text));
    }

    void complain_type(const located& given) {
        if (given.text.starts_with("decimal")) {
            out_.add(given.line, given.key,
                     "expected decimal(precision,scale) with precision 1 to 38 and scale 0 to "
                     "precision, found " +
                         quote(given.text));
            return;
        }
        const auto hint = meant_type(given.text);
        out_.add(given.line, given.key,
                 "unknown type " + quote(given.text) +
                     (hint.empty() ? "; known: " + known_types() : hint));
    }

    bool check_identifier(const located& given, identifier what) {
        if (is_identifier(given.text, what, made_.store)) {
            return true;
        }
        out_.add(given.line, given.key,
                 "expected " + std::string{identifier_rule(what, made_.store)} + "; found " +
                     quote(given.text));
        return false;
    }

    /// What the file says of a field beyond what the template keeps.
    struct known_field {
        std::uint32_t line = 0;
        std::string path;
        bool typed = false; ///< its type is known: checks that depend on it make sense
        std::optional<bool> nullable;
    };

    const load_settings& settings_;
    complaints& out_;
    table_reader root_;
    template_def made_;
    std::vector<known_field> known_; ///< beside `made_.fields`
    bool store_known_ = false;
    bool key_known_ = false;
};

} // namespace

bool is_served_elsewhere(const node& root, const load_settings& settings) {
    const node* about = root.find("template");
    const node* service = about == nullptr ? nullptr : about->find("service");
    if (service != nullptr && !service->is(node::kind::text)) {
        return false;
    }
    const std::string_view name = service == nullptr ? default_service : service->text;
    return std::find(settings.elsewhere.begin(), settings.elsewhere.end(), name) !=
           settings.elsewhere.end();
}

template_def build(const node& root, const load_settings& settings, complaints& out) {
    return builder{root, settings, out}.build();
}

} // namespace beds::templates
