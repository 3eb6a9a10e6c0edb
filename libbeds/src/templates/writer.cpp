#include "templates/stored_form.hpp"
#include "templates/text.hpp"

#include <beds/core/arena.hpp>
#include <beds/core/json.hpp>
#include <beds/templates/writer.hpp>

#include <algorithm>
#include <array>
#include <set>
#include <utility>

namespace beds::templates {
namespace {

/// TOML's basic strings take all that JSON's do.
std::string in_quotes(std::string_view text) {
    std::string made;
    core::append_json_string(made, text);
    return made;
}

template <class Items, class Text>
std::string list_of(const Items& items, Text text_of) {
    std::string made = "[";
    for (const auto& each : items) {
        made += (made.size() == 1 ? "" : ", ") + text_of(each);
    }
    return made + ']';
}

std::string duration_text(std::chrono::milliseconds span) {
    constexpr std::array<std::pair<std::int64_t, const char*>, 4> units{
        {{86'400'000, "d"}, {3'600'000, "h"}, {60'000, "m"}, {1'000, "s"}}};
    for (const auto& [factor, unit] : units) {
        if (span.count() % factor == 0) {
            return in_quotes(std::to_string(span.count() / factor) + unit);
        }
    }
    return in_quotes(std::to_string(span.count()) + "ms");
}

/// A comment stays on its line, whatever it quotes.
std::string comment(std::string_view text) {
    std::string made = "# ";
    for (const char c : text) {
        made += static_cast<unsigned char>(c) < 0x20 || c == 0x7F ? ' ' : c;
    }
    return made;
}

class toml_writer {
public:
    toml_writer(const template_def& from, const remarks& beside) : from_(from), beside_(beside) {}

    std::string write() {
        for (const auto& line : beside_.head) {
            out_ += comment(line) + '\n';
        }
        about();
        fields();
        for (const auto& each : from_.indexes) {
            one_index(each);
        }
        protect();
        if (!from_.read_view.empty()) {
            section("read");
            text("view", from_.read_view);
        }
        procedures();
        for (const auto& each : from_.calls) {
            one_call(each);
        }
        limits();
        return std::move(out_);
    }

private:
    void section(const std::string& name) {
        out_ += (out_.empty() ? "" : "\n") + ('[' + name + "]\n");
    }
    void line(std::string_view key, const std::string& value) {
        (out_ += key) += " = " + value + '\n';
    }
    void text(std::string_view key, std::string_view value) {
        if (!value.empty()) {
            line(key, in_quotes(value));
        }
    }
    [[nodiscard]] const std::string& name_of(field_id id) const { return from_.fields[id].name; }
    [[nodiscard]] std::string names(const std::vector<field_id>& ids) const {
        return list_of(ids, [this](field_id id) { return in_quotes(name_of(id)); });
    }

    void about() {
        section("template");
        text("name", from_.name);
        if (from_.version != 1) {
            line("version", std::to_string(from_.version));
        }
        if (from_.service != "app_server") {
            text("service", from_.service);
        }
        text("store", to_string(from_.store));
        if (from_.connection != to_string(from_.store)) {
            text("connection", from_.connection);
        }
        text("object", from_.object);
        line("key", names(from_.key));
        text("tla", from_.tla);
        if (from_.soft_delete) {
            text("soft_delete", name_of(*from_.soft_delete));
        }
        if (from_.closed) {
            line("closed", "true");
        }
        text("order_by", from_.order_by);
    }

    void fields() {
        section("fields");
        std::size_t widest = 0;
        for (const auto& each : from_.fields) {
            widest = std::max(widest, each.name.size());
        }
        for (const auto& each : from_.fields) {
            out_ += each.name + std::string(widest - each.name.size(), ' ') + " = " + one(each);
            if (const auto remark = beside_.of_fields.find(each.name);
                remark != beside_.of_fields.end()) {
                out_ += ' ' + comment(remark->second);
            }
            out_ += '\n';
        }
    }

    [[nodiscard]] std::string one(const field& of) const {
        std::string made = "{ type = " + in_quotes(core::to_string(of.type));
        const auto add = [&](std::string_view key, const std::string& value) {
            made += ", " + std::string{key} + " = " + value;
        };
        if (of.type.max != 0 && of.stored != stored_form::object_id) {
            add("max", std::to_string(of.type.max));
        }
        if (!of.type.values.empty()) {
            add("values", list_of(of.type.values, in_quotes));
        }
        if (!of.collation.empty()) {
            add("collation", in_quotes(of.collation));
        }
        if (of.stored != stored_form::usual) {
            add("stored", in_quotes(to_string(of.stored)));
        }
        if (of.required) {
            add("required", "true");
        }
        const bool by_itself = !of.required && !of.in_key && of.source == generated::no;
        if (of.nullable != by_itself) {
            add("nullable", of.nullable ? "true" : "false");
        }
        switch (of.source) {
        case generated::no:
            break;
        case generated::database:
            add("generated", "\"database\"");
            break;
        case generated::now:
            add("generated", "\"now\"");
            break;
        case generated::uuid:
            add("generated", "\"uuid\"");
            break;
        }
        if (of.default_text) {
            add("default", *of.default_text);
        }
        if (of.column != (from_.tla.empty() ? of.name : of.name + '_' + from_.tla)) {
            add("column", in_quotes(of.column));
        }
        if (!of.sensitivity.empty()) {
            add("sensitivity", in_quotes(of.sensitivity));
        }
        return made + " }";
    }

    void one_index(const index& of) {
        out_ += "\n[[index]]\n";
        line("fields", names(of.fields));
        if (of.unique) {
            line("unique", "true");
        }
        if (of.expire_after) {
            line("expire_after", duration_text(*of.expire_after));
        }
        if (!of.where_json.empty()) {
            line("where", inline_table(of.where_json));
        }
    }

    /// From an object of scalars, which is what the loader made of the file's.
    static std::string inline_table(const std::string& json) {
        core::arena memory{1024};
        core::datum parsed;
        if (core::parse_json(json, memory, parsed)) {
            return "{}";
        }
        std::string made = "{ ";
        for (const auto& each : parsed.members()) {
            made += (made.size() == 2 ? "" : ", ") + std::string{each.name} + " = ";
            if (each.value.is(core::datum::kind::boolean)) {
                made += each.value.boolean ? "true" : "false";
            } else if (each.value.is(core::datum::kind::string)) {
                made += in_quotes(each.value.text);
            } else {
                made += each.value.text;
            }
        }
        return made + " }";
    }

    void protect() {
        std::vector<field_id> of;
        for (std::size_t i = 0; i < from_.fields.size(); ++i) {
            if (from_.fields[i].write_protected) {
                of.push_back(static_cast<field_id>(i));
            }
        }
        if (!of.empty()) {
            section("protect");
            line("protected", names(of));
        }
    }

    void errors(const std::string& of,
                const std::map<std::string, std::string, std::less<>>& reasons) {
        if (!reasons.empty()) {
            section(of + ".errors");
            for (const auto& [state, reason] : reasons) {
                line(in_quotes(state), in_quotes(reason));
            }
        }
    }

    void procedures() {
        const auto& by = from_.write;
        if (!by.insert.empty() || !by.update.empty() || !by.remove.empty()) {
            section("write");
            text("insert", by.insert);
            text("update", by.update);
            text("delete", by.remove);
            if (by.dynamic_sql) {
                line("dynamic_sql", "true");
            }
            errors("write", from_.write_errors);
        }
    }

    template <class Pairs>
    void pairs(std::string_view key, const Pairs& of) {
        if (!of.empty()) {
            line(key, list_of(of, [](const auto& each) {
                     return '[' + in_quotes(each.name) + ", " +
                            in_quotes(core::to_string(each.type)) + ']';
                 }));
        }
    }

    void one_call(const call& of) {
        const auto path = "calls." + of.name;
        section(path);
        text(of.is_function() ? "function" : "procedure", of.routine_name());
        if (of.dynamic_sql) {
            line("dynamic_sql", "true");
        }
        if (!of.pipeline.empty()) {
            line("pipeline", of.pipeline.find("'''") == std::string::npos
                                 ? "'''\n" + of.pipeline + "'''"
                                 : in_quotes(of.pipeline));
        }
        text("class", core::to_string(of.op_class));
        pairs("args", of.args);
        pairs("out", of.out);
        for (const auto& each : of.returns) {
            out_ += "[[" + path + ".returns]]\n";
            text("name", each.name);
            pairs("fields", each.layout.columns());
        }
        errors(path, of.errors);
    }

    void limits() {
        const templates::limits by_itself;
        const auto& of = from_.limits;
        if (of.max_rows == by_itself.max_rows && of.max_in == by_itself.max_in &&
            of.max_bytes == by_itself.max_bytes && of.max_depth == by_itself.max_depth &&
            !of.deadline) {
            return;
        }
        section("limits");
        if (of.max_rows != by_itself.max_rows) {
            line("max_rows", std::to_string(of.max_rows));
        }
        if (of.max_in != by_itself.max_in) {
            line("max_in", std::to_string(of.max_in));
        }
        if (of.max_bytes != by_itself.max_bytes) {
            line("max_bytes", std::to_string(of.max_bytes));
        }
        if (of.max_depth != by_itself.max_depth) {
            line("max_depth", std::to_string(of.max_depth));
        }
        if (of.deadline) {
            line("deadline", duration_text(*of.deadline));
        }
    }

    const template_def& from_;
    const remarks& beside_;
    std::string out_;
};

std::string as_name(std::string_view text) {
    std::string made;
    for (const char c : text) {
        const bool upper = c >= 'A' && c <= 'Z';
        const bool fits = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
        made += upper ? static_cast<char>(c - 'A' + 'a') : fits ? c : '_';
    }
    made.erase(0, std::min(made.find_first_not_of('_'), made.size())); // MongoDB's _id is the id
    if (made.empty() || made.front() < 'a' || made.front() > 'z') {
        made.insert(0, "f_");
    }
    made.resize(std::min(made.size(), longest_name));
    return made;
}

/// The three characters behind the last `_` of every column; "" when they differ.
std::string common_tla(const template_def& of) {
    constexpr std::size_t length = 3;
    std::string found;
    for (const auto& each : of.fields) {
        const auto at = each.column.rfind('_');
        if (at == std::string::npos || at == 0 || each.column.size() - at - 1 != length) {
            return {};
        }
        const auto tail = each.column.substr(at + 1);
        if ((!found.empty() && tail != found) || !is_name(tail) ||
            !is_name(each.column.substr(0, at))) {
            return {};
        }
        found = tail;
    }
    // Of one column nobody can tell.
    return of.fields.size() > 1 ? found : std::string{};
}

} // namespace

std::string to_toml(const template_def& from, const remarks& beside) {
    return toml_writer{from, beside}.write();
}

void name_fields(template_def& target) {
    target.tla = common_tla(target);
    std::set<std::string> taken;
    for (auto& each : target.fields) {
        const auto wanted = as_name(
            target.tla.empty() ? each.column
                               : each.column.substr(0, each.column.size() - target.tla.size() - 1));
        each.name = wanted;
        for (int number = 2; !taken.insert(each.name).second; ++number) {
            const auto tail = '_' + std::to_string(number);
            each.name = wanted.substr(0, longest_name - tail.size()) + tail;
        }
    }
}

std::string name_for_object(std::string_view object, std::string_view wbid) {
    if (const auto dot = object.rfind('.'); dot != std::string_view::npos) {
        object.remove_prefix(dot + 1);
    }
    std::string prefix{wbid};
    if (!prefix.empty() && !prefix.ends_with('_')) {
        prefix += '_';
    }
    if (object.size() > prefix.size() && object.starts_with(prefix)) {
        object.remove_prefix(prefix.size());
    }
    return as_name(object);
}

} // namespace beds::templates
