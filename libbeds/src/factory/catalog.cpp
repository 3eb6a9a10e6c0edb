#include "factory/catalog.hpp"

#include "templates/stored_form.hpp"

#include <beds/core/json.hpp>

#include <array>

namespace beds::factory {
namespace {

using templates::template_def;

void append_string(std::string& out, std::string_view name, std::string_view text) {
    out.append(",\"").append(name).append("\":");
    core::append_json_string(out, text);
}

void append_typed(std::string& out, std::string_view name, const core::field_type& type) {
    out.append("{\"name\":");
    core::append_json_string(out, name);
    append_string(out, "type", core::to_string(type));
    if (type.max != 0) {
        out.append(",\"max\":").append(std::to_string(type.max));
    }
    if (!type.values.empty()) {
        out.append(",\"values\":[");
        char separator = ' ';
        for (const auto& one : type.values) {
            if (separator == ',') {
                out.push_back(',');
            }
            separator = ',';
            core::append_json_string(out, one);
        }
        out.push_back(']');
    }
}

void append_fields(std::string& out, const template_def& target) {
    out.append(",\"fields\":[");
    bool first = true;
    for (const auto& field : target.fields) {
        if (!first) {
            out.push_back(',');
        }
        first = false;
        append_typed(out, field.name, field.type);
        const auto flag = [&](bool on, std::string_view name) {
            if (on) {
                out.append(",\"").append(name).append("\":true");
            }
        };
        flag(field.in_key, "key");
        flag(field.required, "required");
        flag(field.nullable, "nullable");
        flag(field.indexed, "indexed");
        flag(field.write_protected || field.source == templates::generated::database, "protected");
        flag(field.source != templates::generated::no, "generated");
        if (field.stored != templates::stored_form::usual) {
            append_string(out, "form", templates::to_string(field.stored));
        }
        out.push_back('}');
    }
    out.push_back(']');
}

template <class Arguments>
void append_arguments(std::string& out, std::string_view name, const Arguments& arguments) {
    if (arguments.empty()) {
        return;
    }
    out.append(",\"").append(name).append("\":[");
    bool first = true;
    for (const auto& one : arguments) {
        if (!first) {
            out.push_back(',');
        }
        first = false;
        append_typed(out, one.name, one.type);
        out.push_back('}');
    }
    out.push_back(']');
}

void append_operation(std::string& out, core::verb op, core::op_class op_class,
                      bool at_least_once) {
    if (out.back() != '[') {
        out.push_back(',');
    }
    out.append("{\"op\":\"").append(core::to_string(op)).append("\",\"class\":\"");
    out.append(core::to_string(op_class)).push_back('"');
    if (at_least_once) {
        out.append(",\"guarantee\":\"at_least_once\"");
    }
}

/// The names of the fields, as a JSON array.
void append_names(std::string& out, const template_def& target,
                  std::span<const templates::field_id> ids) {
    for (std::size_t i = 0; i < ids.size(); ++i) {
        out.append(i == 0 ? "[\"" : ",\"").append(target.fields[ids[i]].name).push_back('"');
    }
    out.push_back(']');
}

/// What `on_conflict` may say.
void append_conflict(std::string& out, const template_def& target) {
    const auto keys = target.conflict_keys();
    if (keys.empty()) {
        return;
    }
    out.append(",\"on_conflict\":{\"unique\":");
    for (std::size_t i = 0; i < keys.size(); ++i) {
        out.push_back(i == 0 ? '[' : ',');
        append_names(out, target, keys[i]);
    }
    out.push_back(']');
    std::vector<templates::field_id> fields;
    for (std::size_t i = 0; i < target.fields.size() && target.write.update.empty(); ++i) {
        if (!target.fields[i].in_key && !target.fields[i].write_protected) {
            fields.push_back(static_cast<templates::field_id>(i));
        }
    }
    if (!fields.empty()) {
        out.append(",\"set\":");
        append_names(out, target, fields);
    }
    out.push_back('}');
}

void append_template(std::string& out, const template_def& target, const adapters::adapter* adapter,
                     bool strict_route) {
    out.append("{\"name\":");
    core::append_json_string(out, target.name);
    out.append(",\"version\":").append(std::to_string(target.version));
    if (!target.order_by.empty()) {
        append_string(out, "order_by", target.order_by);
    }
    if (target.closed) {
        out.append(",\"closed\":true");
    }
    // Opaque to clients: today the templates of one database form a group.
    const auto hash =
        core::hash(strict_route ? target.connection + "/" + target.name : target.connection);
    static constexpr std::string_view hex = "0123456789abcdef";
    std::string group;
    for (unsigned shift = 0; shift < 32; shift += 4) {
        group.push_back(hex[(hash.low >> shift) & 15U]);
    }
    append_string(out, "group", group);
    out.append(",\"key\":");
    append_names(out, target, target.key);
    append_fields(out, target);

    const bool no_inbox = adapter == nullptr || !adapter->can().inbox;
    out.append(",\"operations\":[");
    for (const auto op :
         {core::verb::fetch, core::verb::find, core::verb::count, core::verb::exists}) {
        append_operation(out, op, core::op_class::read, false);
        out.push_back('}');
    }
    for (const auto op : {core::verb::insert, core::verb::update, core::verb::remove}) {
        const auto repeats = [&](adapters::selection by) {
            return no_inbox || adapter->runs_alone(target, op, nullptr) ||
                   adapter->may_repeat(target, op, nullptr, by);
        };
        const bool by_key = repeats(adapters::selection::key);
        append_operation(out, op, core::op_class::write, by_key);
        if (op == core::verb::insert) {
            append_conflict(out, target);
        }
        if (!by_key && op != core::verb::insert && repeats(adapters::selection::where)) {
            out.append(",\"guarantee_by_where\":\"at_least_once\"");
        }
        out.push_back('}');
    }
    for (const auto& call : target.calls) {
        const bool writes = call.op_class != core::op_class::read;
        append_operation(
            out, core::verb::call, call.op_class,
            writes &&
                (no_inbox || adapter->runs_alone(target, core::verb::call, &call) ||
                 adapter->may_repeat(target, core::verb::call, &call, adapters::selection::where)));
        append_string(out, "name", call.name);
        append_arguments(out, "args", call.args);
        append_arguments(out, "out", call.out);
        if (!call.returns.empty()) {
            out.append(",\"sets\":[");
            for (std::size_t i = 0; i < call.returns.size(); ++i) {
                out.append(i == 0 ? "\"" : ",\"").append(call.returns[i].name).push_back('"');
            }
            out.push_back(']');
        }
        if (!call.errors.empty()) {
            out.append(",\"reasons\":[");
            bool first = true;
            for (const auto& [state, reason] : call.errors) {
                out.append(first ? "" : ",");
                first = false;
                core::append_json_string(out, reason);
            }
            out.push_back(']');
        }
        out.push_back('}');
    }
    out.append("],\"limits\":{\"max_rows\":").append(std::to_string(target.limits.max_rows));
    out.append(",\"max_in\":").append(std::to_string(target.limits.max_in));
    if (target.limits.max_bytes != 0) {
        out.append(",\"max_bytes\":").append(std::to_string(target.limits.max_bytes));
    }
    if (target.limits.max_depth != templates::limits{}.max_depth) {
        out.append(",\"max_depth\":").append(std::to_string(target.limits.max_depth));
    }
    out.append("}}");
}

} // namespace

std::string describe(const templates::registry& registry,
                     std::span<const std::shared_ptr<adapters::adapter>> adapters,
                     const description& what) {
    std::string out = "\"templates\":[";
    bool first = true;
    for (const auto& target : registry.all()) {
        if (what.only != nullptr ? what.only != &target : target.closed && !what.to_service) {
            continue;
        }
        if (!first) {
            out.push_back(',');
        }
        first = false;
        const adapters::adapter* serving = nullptr;
        for (const auto& one : adapters) {
            if (one->connection_name() == target.connection) {
                serving = one.get();
            }
        }
        append_template(out, target, serving, what.strict_route);
    }
    out.push_back(']');
    return out;
}

} // namespace beds::factory
