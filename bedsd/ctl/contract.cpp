#include "contract.hpp"

#include <boost/json.hpp>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <limits>
#include <optional>
#include <set>
#include <stdexcept>

namespace bedsctl {
namespace {

namespace json = boost::json;

[[noreturn]] void not_a_catalog() {
    throw std::invalid_argument("this is no reply to describe");
}

std::string text_at(const json::object& in, std::string_view name) {
    const auto* found = in.if_contains(name);
    return found != nullptr && found->is_string() ? std::string{found->get_string()}
                                                  : std::string{};
}

bool flag_at(const json::object& in, std::string_view name) {
    const auto* found = in.if_contains(name);
    return found != nullptr && found->is_bool() && found->get_bool();
}

const json::array& list_at(const json::object& in, std::string_view name) {
    static const json::array none;
    const auto* found = in.if_contains(name);
    return found != nullptr && found->is_array() ? found->get_array() : none;
}

json::array templates_of(std::string_view catalog) {
    boost::system::error_code failed;
    const auto parsed = json::parse(catalog, failed);
    if (failed || !parsed.is_object() || !parsed.get_object().contains("templates") ||
        !parsed.get_object().at("templates").is_array()) {
        not_a_catalog();
    }
    return parsed.get_object().at("templates").get_array();
}

std::string repeated(const std::string& what, std::size_t least, std::size_t most) {
    return most == 0 ? std::string{}
                     : what + '{' + std::to_string(least) + ',' + std::to_string(most) + '}';
}

/// A pattern for the whole numbers from `least_digit` (0 or 1) to this one, as a node reads them:
/// without zeros in front.
std::string up_to(const std::string& most, char least_digit) {
    std::string made = least_digit == '0' ? "0|" : "";
    if (most.size() > 1) {
        made += "[1-9]" + repeated("[0-9]", 0, most.size() - 2) + '|';
    }
    // Of as many digits: those that fall below in their i-th digit, and the number itself.
    for (std::size_t i = 0; i < most.size(); ++i) {
        const char lowest = i == 0 ? '1' : '0';
        if (most[i] > lowest) {
            made += most.substr(0, i) + '[' + lowest + '-' + static_cast<char>(most[i] - 1) + ']';
            if (i + 1 < most.size()) {
                made += "[0-9]{" + std::to_string(most.size() - i - 1) + '}';
            }
            made += '|';
        }
    }
    return "(?:" + made + most + ')';
}

/// Digits, or a number: both are exact where a reader's JSON is.
json::object whole(std::int64_t least, std::uint64_t most) {
    auto digits = up_to(std::to_string(most), '0');
    if (least < 0) {
        digits = "(?:" + digits + "|-" + up_to(std::to_string(least).substr(1), '1') + ')';
    }
    return {{"oneOf",
             json::array{json::object{{"type", "integer"}, {"minimum", least}, {"maximum", most}},
                         json::object{{"type", "string"}, {"pattern", '^' + digits + '$'}}}}};
}

json::object signed_whole(int bits) {
    const auto most = std::numeric_limits<std::int64_t>::max() >> (64 - bits);
    return whole(-most - 1, static_cast<std::uint64_t>(most));
}

json::object unsigned_whole(int bits) {
    return whole(0, std::numeric_limits<std::uint64_t>::max() >> (64 - bits));
}

// A day that the calendar has, of the years 1 to 9999.
constexpr const char* day =
    "(?!0000)(?:[0-9]{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)-(?:0[1-9]|["
    "12][0-9]|30)|02-(?:0[1-9]|1[0-9]|2[0-8]))|(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:["
    "02468][048]|[13579][26])00)-02-29)";
constexpr const char* time_of_day = "(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\\.[0-9]{1,6})?";
constexpr const char* offset = "(?:[Zz]|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])";

json::object text_like(const std::string& pattern) {
    return {{"type", "string"}, {"pattern", '^' + pattern + '$'}};
}

/// Digits before and after the point. Of a JSON number a schema sees the size, and not how many
/// digits stand behind the point.
json::object decimal(const std::string& type) {
    std::size_t precision = 0;
    std::size_t scale = 0;
    const auto comma = type.find(',');
    const auto open = type.find('(');
    if (open == std::string::npos || comma == std::string::npos) {
        not_a_catalog();
    }
    std::from_chars(type.data() + open + 1, type.data() + comma, precision);
    std::from_chars(type.data() + comma + 1, type.data() + type.size(), scale);
    const auto before = precision - std::min(scale, precision);
    std::string text = "-?(?:0";
    if (before > 0) {
        text += "|[1-9]" + repeated("[0-9]", 0, before - 1);
    }
    text += ")(?:\\.";
    text += (scale > 0 ? repeated("[0-9]", 1, scale) + "0*" : std::string{"0+"}) + ")?";
    json::object number{{"type", "number"}};
    constexpr std::size_t exact_in_int64 = 18;
    if (before <= exact_in_int64) {
        std::int64_t bound = 1;
        for (std::size_t i = 0; i < before; ++i) {
            bound *= 10;
        }
        number["exclusiveMinimum"] = -bound;
        number["exclusiveMaximum"] = bound;
    }
    if (scale == 0) {
        number["multipleOf"] = 1;
    }
    return {{"oneOf", json::array{text_like(text), std::move(number)}}};
}

/// With padding; what the padding cuts off is zero, as a node wants it.
json::object base64(const json::value* most) {
    auto made = text_like("(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/][AQgw]==|[A-Za-z0-9+/]{2}"
                          "[AEIMQUYcgkosw048]=)?");
    made["contentEncoding"] = "base64";
    if (most != nullptr && most->is_number()) {
        const auto bytes = most->to_number<std::uint64_t>();
        const auto length = (bytes + 2) / 3 * 4;
        made["maxLength"] = length;
        if (bytes % 3 != 0) { // the longest ones hold no more only if they are padded so
            made["not"] = json::object{{"minLength", length},
                                       {"pattern", bytes % 3 == 2 ? "[^=]$" : "[^=].$"}};
        }
    }
    return made;
}

enum class how {
    given, ///< by a client: a node takes nothing else
    read   ///< from a database, which may hold what no client gave
};

json::object schema_of_type(const json::object& field, how what = how::given) {
    const auto type = text_at(field, "type");
    const bool given = what == how::given;
    const auto* most = field.if_contains("max");
    const auto width = [&](std::size_t digits_at) {
        int bits = 0;
        std::from_chars(type.data() + digits_at, type.data() + type.size(), bits);
        return bits;
    };
    json::object made;
    if (type == "bool") {
        made["type"] = "boolean";
    } else if (type.starts_with("uint")) {
        made = unsigned_whole(width(4));
    } else if (type.starts_with("int")) {
        made = signed_whole(width(3));
    } else if (type == "double") {
        made["type"] = "number";
    } else if (type.starts_with("decimal")) {
        made = given ? decimal(type) : text_like("-?[0-9]+(?:\\.[0-9]+)?");
    } else if (type == "enum") {
        if (given) {
            made["enum"] = list_at(field, "values");
        } else {
            made["type"] = "string";
        }
    } else if (type == "uuid") {
        made = text_like("[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}");
        made["format"] = "uuid";
    } else if (type == "bytes") {
        made = base64(given ? most : nullptr);
    } else if (type == "date") {
        made = given ? text_like(day) : json::object{{"type", "string"}};
        made["format"] = "date";
    } else if (type == "time") {
        made =
            text_like(given ? time_of_day : "-?[0-9]{2,3}:[0-5][0-9]:[0-5][0-9](?:\\.[0-9]{1,6})?");
    } else if (type == "datetime") {
        made = given ? text_like(std::string{day} + "[Tt]" + time_of_day + offset)
                     : json::object{{"type", "string"}};
        made["format"] = "date-time";
    } else if (type == "string" && given && text_at(field, "form") == "object_id") {
        made = text_like("[0-9a-f]{24}");
    } else if (type == "string") {
        made = {{"type", "string"}};
        if (most != nullptr && given) {
            made["maxLength"] = *most;
        }
    }
    // json and document: anything.
    made["description"] = type;
    return made;
}

json::value or_null(json::object schema) {
    return json::object{{"anyOf", json::array{std::move(schema), json::object{{"type", "null"}}}}};
}

json::object closed(json::object properties, json::array required = {}) {
    json::object made{
        {"type", "object"}, {"properties", std::move(properties)}, {"additionalProperties", false}};
    if (!required.empty()) {
        made["required"] = std::move(required);
    }
    return made;
}

/// Definitions of one template.
class contract {
public:
    contract(const json::object& of, json::object& defs)
        : of_(of), defs_(defs), name_(text_at(of, "name")) {
        if (name_.empty()) {
            not_a_catalog();
        }
        for (const auto& each : list_at(of, "fields")) {
            fields_.push_back(each.as_object());
        }
    }

    void write() {
        define("row", row());
        define("data", data());
        for (const auto& each : list_at(of_, "operations")) {
            const auto& operation = each.as_object();
            const auto op = text_at(operation, "op");
            const auto called = text_at(operation, "name");
            define(op == "call" ? called : op, request(op, operation));
        }
    }
    /// Names of the definitions of operations of this class.
    [[nodiscard]] std::vector<std::string> of_class(std::string_view op_class) const {
        std::vector<std::string> made;
        for (const auto& each : list_at(of_, "operations")) {
            const auto& operation = each.as_object();
            if (op_class.empty() || text_at(operation, "class") == op_class) {
                const auto op = text_at(operation, "op");
                made.push_back(name_ + '.' + (op == "call" ? text_at(operation, "name") : op));
            }
        }
        return made;
    }
    [[nodiscard]] const std::string& name() const { return name_; }

private:
    void define(const std::string& what, json::object schema) {
        defs_[name_ + '.' + what] = std::move(schema);
    }
    [[nodiscard]] json::object refer(const char* what) const {
        return {{"$ref", "#/$defs/" + name_ + '.' + what}};
    }

    /// What a reply holds: any of its fields.
    [[nodiscard]] json::object row() const {
        json::object properties;
        for (const auto& each : fields_) {
            auto type = schema_of_type(each, how::read);
            properties[text_at(each, "name")] =
                flag_at(each, "nullable") ? or_null(std::move(type)) : json::value(std::move(type));
        }
        return closed(std::move(properties));
    }

    [[nodiscard]] json::object data() const {
        json::object properties;
        json::array required;
        for (const auto& each : fields_) {
            if (flag_at(each, "protected")) {
                continue;
            }
            auto type = schema_of_type(each);
            const auto name = text_at(each, "name");
            properties[name] =
                flag_at(each, "nullable") ? or_null(std::move(type)) : json::value(std::move(type));
            if (flag_at(each, "required")) {
                required.emplace_back(name);
            }
        }
        return closed(std::move(properties), std::move(required));
    }

    /// An object that may have some of the fields: those that `value_of` has a schema for.
    template <class ValueOf>
    [[nodiscard]] json::object some(ValueOf value_of) const {
        json::object properties;
        for (const auto& each : fields_) {
            if (auto made = value_of(each)) {
                properties[text_at(each, "name")] = std::move(*made);
            }
        }
        auto made = closed(std::move(properties));
        made["minProperties"] = 1;
        return made;
    }

    static bool is_changeable(const json::object& field) {
        return !flag_at(field, "protected") && !flag_at(field, "key");
    }
    /// Null is compared with in every field, nested data with nothing else.
    static std::optional<json::value> in_if(const json::object& field) {
        const auto type = text_at(field, "type");
        return type == "json" || type == "document" ? json::object{{"type", "null"}}
                                                    : or_null(schema_of_type(field));
    }
    static std::optional<json::value> in_set(const json::object& field) {
        if (!is_changeable(field)) {
            return std::nullopt;
        }
        auto type = schema_of_type(field);
        return flag_at(field, "nullable") ? or_null(std::move(type)) : json::value(std::move(type));
    }
    static std::optional<json::value> in_inc(const json::object& field) {
        const auto type = text_at(field, "type");
        if (!is_changeable(field)) {
            return std::nullopt;
        }
        if (type.starts_with("int") || type.starts_with("uint")) {
            return signed_whole(64); // whatever the field holds, what is added may be negative
        }
        return type.starts_with("decimal") || type == "double"
                   ? std::optional<json::value>{schema_of_type(field)}
                   : std::nullopt;
    }

    [[nodiscard]] json::object key() const {
        const auto& names = list_at(of_, "key");
        json::object properties;
        for (const auto& each : fields_) {
            if (flag_at(each, "key")) {
                properties[text_at(each, "name")] = schema_of_type(each);
            }
        }
        if (names.size() == 1 && properties.size() == 1) {
            return properties.begin()->value().as_object();
        }
        return closed(std::move(properties), names);
    }

    [[nodiscard]] json::object where() const {
        json::object properties;
        for (const auto& each : fields_) {
            if (!flag_at(each, "indexed")) {
                continue;
            }
            const auto type = schema_of_type(each);
            json::object operators;
            for (const auto* op : {"eq", "ne", "lt", "le", "gt", "ge"}) {
                operators[op] = type;
            }
            operators["in"] = json::object{{"type", "array"}, {"items", type}, {"minItems", 1}};
            operators["null"] = json::object{{"type", "boolean"}};
            if (text_at(each, "type") == "string" && text_at(each, "form").empty()) {
                operators["prefix"] = json::object{{"type", "string"}};
            }
            auto condition = closed(std::move(operators));
            condition["minProperties"] = 1;
            properties[text_at(each, "name")] =
                json::object{{"anyOf", json::array{type, std::move(condition)}}};
        }
        return closed(std::move(properties));
    }

    [[nodiscard]] json::array names(bool indexed_only, bool also_descending) const {
        json::array made;
        for (const auto& each : fields_) {
            if (!indexed_only || flag_at(each, "indexed")) {
                made.emplace_back(text_at(each, "name"));
                if (also_descending) {
                    made.emplace_back('-' + text_at(each, "name"));
                }
            }
        }
        return made;
    }

    static json::object list_of(const json::array& all) {
        return {{"type", "array"},
                {"items", json::object{{"enum", all}}},
                {"minItems", 1},
                {"uniqueItems", true}};
    }

    /// One of the field lists that describe names, and what may be taken over.
    static json::object on_conflict(const json::object& offered) {
        json::array keys;
        for (const auto& each : list_at(offered, "unique")) {
            auto one = list_of(each.as_array());
            one["minItems"] = each.as_array().size();
            keys.push_back(std::move(one));
        }
        const auto unique = json::object{{"anyOf", std::move(keys)}};
        auto leaves = closed({{"unique", unique}, {"do", json::object{{"const", "nothing"}}}},
                             json::array{"do"});
        const auto& fields = list_at(offered, "set");
        if (fields.empty()) {
            return leaves;
        }
        auto updates = closed({{"unique", unique},
                               {"do", json::object{{"const", "update"}}},
                               {"set", list_of(fields)}},
                              json::array{"do", "set"});
        return {{"oneOf", json::array{std::move(updates), std::move(leaves)}}};
    }

    [[nodiscard]] json::object request(const std::string& op, const json::object& operation) const {
        json::object properties{
            {"v", json::object{{"const", 1}}},
            {"id", json::object{{"type", "string"}, {"minLength", 1}, {"maxLength", 255}}},
            {"deadline", json::object{{"type", "integer"}, {"minimum", 0}}},
            {"template", json::object{{"const", name_}}},
            {"op", json::object{{"const", op}}}};
        json::array required{"v", "template", "op"};
        const auto fields_wanted = [&](const char* member) {
            properties[member] = list_of(names(false, false));
        };
        const auto rows_wanted = [&] {
            properties["key"] = key();
            auto condition = where();
            condition["minProperties"] = 1;
            properties["where"] = std::move(condition);
            properties["if"] = some(in_if);
        };
        json::object made;
        if (op == "fetch") {
            properties["key"] = key();
            fields_wanted("fields");
            required.emplace_back("key");
        } else if (op == "find") {
            properties["where"] = where();
            properties["sort"] = json::object{{"type", "array"},
                                              {"items", json::object{{"enum", names(true, true)}}}};
            properties["limit"] = json::object{{"type", "integer"}, {"minimum", 1}};
            if (const auto* limits = of_.if_contains("limits");
                limits != nullptr && limits->is_object()) {
                properties["limit"].as_object()["maximum"] = limits->as_object().at("max_rows");
            }
            properties["after"] = json::object{{"type", "string"}};
            fields_wanted("fields");
        } else if (op == "count" || op == "exists") {
            properties["where"] = where();
        } else if (op == "insert") {
            properties["data"] = json::object{
                {"oneOf", json::array{refer("data"), json::object{{"type", "array"},
                                                                  {"items", refer("data")},
                                                                  {"minItems", 1}}}}};
            required.emplace_back("data");
            fields_wanted("return");
            if (const auto* conflict = operation.if_contains("on_conflict")) {
                properties["on_conflict"] = on_conflict(conflict->as_object());
            }
        } else if (op == "update" || op == "delete") {
            rows_wanted();
            fields_wanted("return");
            if (op == "update") {
                properties["set"] = some(in_set);
                properties["inc"] = some(in_inc);
                made["anyOf"] = json::array{json::object{{"required", json::array{"set"}}},
                                            json::object{{"required", json::array{"inc"}}}};
            }
            made["oneOf"] = json::array{json::object{{"required", json::array{"key"}}},
                                        json::object{{"required", json::array{"where"}}}};
        } else {
            properties["name"] = json::object{{"const", text_at(operation, "name")}};
            required.emplace_back("name");
            json::object arguments;
            json::array all;
            for (const auto& each : list_at(operation, "args")) {
                const auto name = text_at(each.as_object(), "name");
                arguments[name] = or_null(schema_of_type(each.as_object()));
                all.emplace_back(name);
            }
            if (!all.empty()) {
                properties["args"] = closed(std::move(arguments), std::move(all));
                required.emplace_back("args");
            }
        }
        const auto base = closed(std::move(properties), std::move(required));
        for (const auto& [name, value] : base) {
            made[name] = value;
        }
        if (const auto guarantee = text_at(operation, "guarantee"); !guarantee.empty()) {
            made["description"] = "guarantee: " + guarantee;
        }
        return made;
    }

    const json::object& of_;
    json::object& defs_;
    std::string name_;
    std::vector<json::object> fields_;
};

/// As a person writes it: two blanks a level.
void write_pretty(std::string& out, const json::value& value, std::size_t depth) {
    const auto line = [&](std::size_t level) { out += '\n' + std::string(2 * level, ' '); };
    const auto list = [&](char open, char close, const auto& items, auto one) {
        if (items.empty()) {
            out += open;
            out += close;
            return;
        }
        out += open;
        bool first = true;
        for (const auto& each : items) {
            out += first ? "" : ",";
            first = false;
            line(depth + 1);
            one(each);
        }
        line(depth);
        out += close;
    };
    if (value.is_object()) {
        list('{', '}', value.get_object(), [&](const auto& member) {
            out += json::serialize(json::string(member.key())) + ": ";
            write_pretty(out, member.value(), depth + 1);
        });
    } else if (value.is_array()) {
        list('[', ']', value.get_array(),
             [&](const json::value& each) { write_pretty(out, each, depth + 1); });
    } else {
        out += json::serialize(value);
    }
}

std::string pretty(const json::value& value) {
    std::string out;
    write_pretty(out, value, 0);
    return out + '\n';
}

json::array references(const std::vector<std::string>& names, const std::string& where) {
    json::array made;
    for (const auto& each : names) {
        made.push_back(json::object{{"$ref", where + each}});
    }
    return made;
}

} // namespace

std::string json_schema_of(std::string_view catalog) {
    const auto templates = templates_of(catalog);
    json::object defs;
    std::vector<std::string> all;
    for (const auto& each : templates) {
        contract one{each.as_object(), defs};
        one.write();
        for (auto& name : one.of_class({})) {
            all.push_back(std::move(name));
        }
    }
    return pretty(json::object{
        {"$schema", "https://json-schema.org/draft/2020-12/schema"},
        {"title", "Requests of one operation to this BEDS service"},
        {"oneOf", references(all, "#/$defs/")},
        {"$defs", std::move(defs)},
    });
}

std::string asyncapi_of(std::string_view catalog, std::string_view queue_tag) {
    const auto templates = templates_of(catalog);
    json::object defs;
    json::object channels;
    json::object operations;
    json::object messages{
        {"reply",
         json::object{
             {"contentType", "application/json"},
             {"correlationId", json::object{{"location", "$message.header#/correlation_id"}}},
             {"payload",
              json::object{
                  {"type", "object"},
                  {"required", json::array{"v", "event"}},
                  {"properties",
                   json::object{{"v", json::object{{"const", 1}}},
                                {"event", json::object{{"type", "string"}}},
                                {"status", json::object{{"type", "string"}}},
                                {"effect", json::object{{"enum", json::array{"none", "applied",
                                                                             "unknown"}}}}}}}}}}};
    channels["replies"] = json::object{
        {"address", nullptr},
        {"description", "Your own queue, which reply_to names: {tag}reply.{user}.{uuid}"},
        {"messages",
         json::object{{"reply", json::object{{"$ref", "#/components/messages/reply"}}}}}};
    for (const auto& each : templates) {
        contract one{each.as_object(), defs};
        one.write();
        for (const auto* op_class : {"read", "write", "bulk"}) {
            const auto names = one.of_class(op_class);
            if (names.empty()) {
                continue;
            }
            const bool ordered =
                each.as_object().contains("order_by") && std::string_view{op_class} == "write";
            const auto channel = one.name() + '.' + (ordered ? "order" : op_class);
            json::object own;
            json::array asked;
            for (const auto& name : names) {
                messages[name] = json::object{
                    {"name", name},
                    {"contentType", "application/json"},
                    {"correlationId",
                     json::object{{"location", "$message.header#/correlation_id"}}},
                    {"payload",
                     json::object{
                         {"schemaFormat", "application/schema+json;version=draft-07"},
                         {"schema", json::object{{"$ref", "#/components/schemas/" + name}}}}}};
                if (ordered) {
                    messages[name].as_object()["headers"] = json::object{
                        {"type", "object"},
                        {"required", json::array{"beds-order"}},
                        {"properties",
                         json::object{{"beds-order", json::object{{"type", "string"}}}}}};
                }
                own[name] = json::object{{"$ref", "#/components/messages/" + name}};
                asked.push_back(
                    json::object{{"$ref", "#/channels/" + channel + "/messages/" + name}});
            }
            channels[channel] = json::object{
                {"address", channel},
                {"messages", std::move(own)},
                {"bindings",
                 json::object{{"amqp", json::object{{"is", "routingKey"},
                                                    {"exchange",
                                                     json::object{{"name", std::string{queue_tag} +
                                                                               "beds.events"},
                                                                  {"durable", true}}}}}}}};
            operations[channel] = json::object{
                {"action", "send"},
                {"channel", json::object{{"$ref", "#/channels/" + channel}}},
                {"messages", std::move(asked)},
                {"reply",
                 json::object{{"address", json::object{{"location", "$message.header#/reply_to"}}},
                              {"channel", json::object{{"$ref", "#/channels/replies"}}},
                              {"messages", json::array{json::object{
                                               {"$ref", "#/channels/replies/messages/reply"}}}}}}};
        }
    }
    auto text =
        pretty(json::object{{"asyncapi", "3.0.0"},
                            {"info", json::object{{"title", "BEDS service"}, {"version", "1"}}},
                            {"defaultContentType", "application/json"},
                            {"channels", std::move(channels)},
                            {"operations", std::move(operations)},
                            {"components", json::object{{"messages", std::move(messages)},
                                                        {"schemas", std::move(defs)}}}});
    // The schemas stand elsewhere here.
    constexpr std::string_view from = "#/$defs/";
    constexpr std::string_view to = "#/components/schemas/";
    for (std::size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size()) {
        text.replace(at, from.size(), to);
    }
    return text;
}

} // namespace bedsctl
