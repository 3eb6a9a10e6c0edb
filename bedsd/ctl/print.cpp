#include "print.hpp"

#include <beds/core/json.hpp>

#include <algorithm>
#include <ostream>

namespace bedsctl {
namespace {

using beds::client::reply;
using beds::client::result;
using beds::core::code;
using beds::core::datum;
using beds::core::effect;

/// Bytes of the UTF-8 character at the front; 0 for a byte that is none.
std::size_t character_size(std::string_view text) {
    const auto first = static_cast<unsigned char>(text.front());
    const std::size_t size = first < 0x80                    ? 1
                             : first >= 0xC2 && first < 0xE0 ? 2
                             : first >= 0xE0 && first < 0xF0 ? 3
                             : first >= 0xF0 && first < 0xF5 ? 4
                                                             : 0;
    return size <= text.size() ? size : 0;
}

/// For the terminal: without bytes that it would obey.
std::string printable(std::string_view text) {
    static constexpr std::string_view hex = "0123456789abcdef";
    std::string made;
    while (!text.empty()) {
        const auto size = character_size(text);
        const auto first = static_cast<unsigned char>(text.front());
        const bool control = size == 0 || first < 0x20 || first == 0x7F ||
                             (first == 0xC2 && static_cast<unsigned char>(text[1]) < 0xA0);
        if (!control) {
            made.append(text.substr(0, size));
        } else {
            const auto shown = static_cast<unsigned char>(size == 2 ? text[1] : text[0]);
            made.append("\\x");
            made.push_back(hex[shown >> 4U]);
            made.push_back(hex[shown & 15U]);
        }
        text.remove_prefix(size == 0 ? 1 : size);
    }
    return made;
}

/// Columns on a terminal, as far as counting characters tells.
std::size_t width(std::string_view text) {
    return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char byte) {
        return (static_cast<unsigned char>(byte) & 0xC0U) != 0x80;
    }));
}

void print_rows(std::ostream& out, const datum& rows) {
    std::vector<std::string> head;
    for (const auto& row : rows.items()) {
        for (const auto& member : row.members()) {
            const auto name = printable(member.name);
            if (std::find(head.begin(), head.end(), name) == head.end()) {
                head.push_back(name);
            }
        }
    }
    std::vector<std::vector<std::string>> cells;
    for (const auto& row : rows.items()) {
        auto& line = cells.emplace_back(head.size());
        for (const auto& member : row.members()) {
            const auto at = std::find(head.begin(), head.end(), printable(member.name));
            line[static_cast<std::size_t>(at - head.begin())] = cell_text(member.value);
        }
    }
    if (!cells.empty()) {
        print_table(out, head, cells);
    }
}

/// What a person can do about it.
std::string advice(const result& failed, const std::string& request_id) {
    if (failed.effect() == effect::unknown) {
        return request_id.empty()
                   ? "send the same request again with the same id to learn the effect"
                   : "send the same again with --id " + request_id + " to learn the effect";
    }
    if (failed.field() == "beds-order") {
        return "give the ordering field's value with --order; bedsctl describe shows its name";
    }
    switch (failed.code()) {
    case code::unknown_template:
    case code::invalid_field:
        return "bedsctl describe shows templates, fields and calls";
    case code::backend_unavailable:
        return "is bedsd running with this queue tag, and its database up?";
    case code::deadline_exceeded:
        return "give it more time with --timeout";
    case code::overloaded:
        return "try again a little later";
    default:
        return {};
    }
}

void print_error(std::ostream& err, const result& failed, const std::string& request_id) {
    err << printable(failed.code_text());
    if (!failed.reason().empty()) {
        err << ' ' << printable(failed.reason());
    }
    if (!failed.detail().empty()) {
        err << ": " << printable(failed.detail());
    }
    err << " (effect " << to_string(failed.effect()) << ")\n";
    if (const auto next = advice(failed, request_id); !next.empty()) {
        err << "  " << next << '\n';
    }
}

void print_result(std::ostream& out, const result& shown) {
    std::string summary;
    const auto add = [&](const std::string& text) {
        summary.append(summary.empty() ? "" : ", ").append(text);
    };
    if (const auto* rows = shown.data().find("rows")) {
        print_rows(out, *rows);
        add(std::to_string(shown.size()) + (shown.size() == 1 ? " row" : " rows"));
    }
    if (const auto* called = shown.out()) {
        std::vector<std::vector<std::string>> lines;
        for (const auto& member : called->members()) {
            lines.push_back({printable(member.name), cell_text(member.value)});
        }
        print_table(out, {"out", "value"}, lines);
    }
    if (const auto* sets = shown.data().find("sets")) {
        for (const auto& set : sets->members()) {
            out << printable(set.name) << ":\n";
            print_rows(out, set.value);
        }
    }
    if (const auto* keys = shown.keys()) {
        std::string list;
        for (const auto& key : keys->items()) {
            list.append(list.empty() ? "key " : ", ").append(cell_text(key));
        }
        add(list);
    }
    if (shown.count()) {
        add("count " + std::to_string(*shown.count()));
    }
    if (shown.total()) {
        add("total " + std::to_string(*shown.total()));
    }
    if (const auto* exists = shown.data().find("exists")) {
        add(exists->boolean ? "exists" : "does not exist");
    }
    if (shown.effect() != effect::none) {
        add("effect " + std::string{to_string(shown.effect())});
    }
    out << (summary.empty() ? "ok" : summary) << '\n';
    if (!shown.next().empty()) {
        out << "more with --after " << printable(shown.next()) << '\n';
    }
}

std::string text_of(const datum& from, std::string_view name) {
    const auto* found = from.find(name);
    return found == nullptr ? std::string{} : cell_text(*found);
}

/// `from: int64, amount: decimal(18,2)`
std::string typed_list(const datum* from) {
    std::string made;
    if (from != nullptr) {
        for (const auto& one : from->items()) {
            made.append(made.empty() ? "" : ", ").append(text_of(one, "name"));
            made.append(" ").append(text_of(one, "type"));
        }
    }
    return made;
}

std::string name_list(const datum* from) {
    std::string made;
    if (from != nullptr) {
        for (const auto& one : from->items()) {
            made.append(made.empty() ? "" : ", ").append(cell_text(one));
        }
    }
    return made;
}

bool is_true(const datum& from, std::string_view name) {
    const auto* found = from.find(name);
    return found != nullptr && found->is(datum::kind::boolean) && found->boolean;
}

void print_template(std::ostream& out, const datum& from) {
    out << text_of(from, "name") << ", version " << text_of(from, "version") << ", key "
        << name_list(from.find("key")) << ", group " << text_of(from, "group");
    if (const auto by = text_of(from, "order_by"); !by.empty()) {
        out << ", writes in order of " << by << " (call --order)";
    }
    out << (is_true(from, "closed") ? ", closed\n\n" : "\n\n");
    std::vector<std::vector<std::string>> fields;
    if (const auto* given = from.find("fields")) {
        for (const auto& field : given->items()) {
            auto type = text_of(field, "type");
            if (const auto max = text_of(field, "max"); !max.empty()) {
                type += " up to " + max;
            }
            if (const auto form = text_of(field, "form"); !form.empty()) {
                type += form == "object_id" ? ", an ObjectId" : ", whole milliseconds";
            }
            if (const auto values = name_list(field.find("values")); !values.empty()) {
                type += ": " + values;
            }
            std::string notes;
            for (const auto* flag :
                 {"key", "required", "nullable", "indexed", "protected", "generated"}) {
                if (is_true(field, flag)) {
                    notes.append(notes.empty() ? "" : ", ").append(flag);
                }
            }
            fields.push_back({text_of(field, "name"), type, notes});
        }
    }
    print_table(out, {"field", "type", "notes"}, fields);
    out << '\n';
    std::vector<std::vector<std::string>> operations;
    if (const auto* given = from.find("operations")) {
        for (const auto& op : given->items()) {
            const auto name = text_of(op, "name");
            auto gives = typed_list(op.find("out"));
            if (const auto sets = name_list(op.find("sets")); !sets.empty()) {
                gives.append(gives.empty() ? "" : "; ").append("sets ").append(sets);
            }
            operations.push_back({name.empty() ? text_of(op, "op") : name, text_of(op, "class"),
                                  typed_list(op.find("args")), gives,
                                  name_list(op.find("reasons"))});
        }
    }
    print_table(out, {"operation", "class", "arguments", "gives", "may refuse with"}, operations);
}

} // namespace

std::string cell_text(const datum& value) {
    switch (value.type) {
    case datum::kind::null:
        return {};
    case datum::kind::string:
        return printable(value.text);
    default: {
        std::string text;
        beds::core::append_json(text, value);
        return printable(text);
    }
    }
}

void print_table(std::ostream& out, std::vector<std::string> head,
                 std::vector<std::vector<std::string>> rows) {
    const auto make_printable = [](std::vector<std::string>& cells) {
        for (auto& cell : cells) {
            cell = printable(cell);
        }
    };
    make_printable(head);
    for (auto& row : rows) {
        make_printable(row);
    }
    std::vector<std::size_t> widths;
    for (std::size_t column = 0; column < head.size(); ++column) {
        auto widest = width(head[column]);
        for (const auto& row : rows) {
            widest = std::max(widest, width(row[column]));
        }
        widths.push_back(widest);
    }
    const auto print = [&](const std::vector<std::string>& cells) {
        std::string line;
        for (std::size_t column = 0; column < cells.size(); ++column) {
            line.append(column == 0 ? "" : "  ").append(cells[column]);
            line.append(widths[column] - width(cells[column]), ' ');
        }
        line.erase(line.find_last_not_of(' ') + 1);
        out << line << '\n';
    };
    print(head);
    std::vector<std::string> rule;
    for (const auto each : widths) {
        rule.emplace_back(each, '-');
    }
    print(rule);
    for (const auto& row : rows) {
        print(row);
    }
}

void print_reply(std::ostream& out, std::ostream& err, const reply& shown) {
    for (std::size_t i = 0; i < shown.size(); ++i) {
        if (shown[i].ok()) {
            print_result(out, shown[i]);
        } else {
            print_error(err, shown[i], shown.request_id());
        }
    }
}

void print_catalog(std::ostream& out, const reply& shown, detail how) {
    const auto* templates = shown.front().data().find("templates");
    if (templates == nullptr) {
        return;
    }
    if (how == detail::full) {
        for (const auto& one : templates->items()) {
            print_template(out, one);
        }
        return;
    }
    std::vector<std::vector<std::string>> lines;
    for (const auto& one : templates->items()) {
        std::string calls;
        if (const auto* operations = one.find("operations")) {
            for (const auto& op : operations->items()) {
                if (const auto name = text_of(op, "name"); !name.empty()) {
                    calls.append(calls.empty() ? "" : ", ").append(name);
                }
            }
        }
        const auto* fields = one.find("fields");
        lines.push_back({text_of(one, "name"), name_list(one.find("key")),
                         std::to_string(fields == nullptr ? 0 : fields->count), calls,
                         text_of(one, "group")});
    }
    print_table(out, {"template", "key", "fields", "calls", "group"}, lines);
    out << "Templates of one group may share a message. More: bedsctl describe TEMPLATE\n";
}

exit_code exit_code_of(const reply& got) {
    auto worst = exit_code::ok;
    for (std::size_t i = 0; i < got.size(); ++i) {
        if (got[i].ok()) {
            continue;
        }
        const auto why = got[i].code();
        // A deadline that a node tells of is an answer; what has no event was answered by nobody.
        const bool nobody = got[i].effect() == effect::unknown ||
                            why == code::backend_unavailable ||
                            (why == code::deadline_exceeded && got.event().empty());
        worst = std::max(worst, nobody ? exit_code::unknown : exit_code::refused);
    }
    return worst;
}

} // namespace bedsctl
