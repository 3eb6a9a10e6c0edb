#include "core/epoch.hpp"

#include <beds/core/error.hpp>
#include <beds/wire/request.hpp>

#include <array>
#include <charconv>
#include <chrono>
#include <string>

namespace beds::wire {
namespace {

using core::code;
using core::datum;
using core::operation;
using core::verb;

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

void refuse(operation& op, std::string_view field, std::string_view detail) {
    if (op.refused == code::ok) { // the first thing that is wrong is the one that is told
        op.refused = code::invalid_envelope;
        op.refusal = detail;
        op.refused_field = field;
    }
}

constexpr std::array<std::string_view, 16> operation_members{
    "template", "op",   "key",   "where",  "data",   "set",   "inc",         "if",
    "args",     "sort", "limit", "fields", "return", "after", "on_conflict", "name"};

/// Which members an operation may have, by bits in the order of `operation_members`.
constexpr unsigned bit(std::string_view name) {
    for (unsigned i = 0; i < operation_members.size(); ++i) {
        if (operation_members[i] == name) {
            return 1U << i;
        }
    }
    return 0;
}

constexpr unsigned allowed(verb op) {
    constexpr unsigned always = bit("template") | bit("op");
    switch (op) {
    case verb::fetch:
        return always | bit("key") | bit("fields");
    case verb::find:
        return always | bit("where") | bit("sort") | bit("limit") | bit("after") | bit("fields");
    case verb::count:
    case verb::exists:
        return always | bit("where");
    case verb::insert:
        return always | bit("data") | bit("on_conflict") | bit("return");
    case verb::update:
        return always | bit("key") | bit("where") | bit("set") | bit("inc") | bit("if") |
               bit("return");
    case verb::remove:
        return always | bit("key") | bit("where") | bit("if") | bit("return");
    case verb::call:
        return always | bit("name") | bit("args");
    case verb::describe:
        return always;
    }
    return 0;
}

/// Reads a string member; anything else refuses the operation.
std::string_view take_string(operation& op, std::string_view name, const datum& given) {
    if (!given.is(datum::kind::string)) {
        refuse(op, name, "must be a string");
        return {};
    }
    return given.text;
}

bool take_deadline(const datum& given, std::optional<core::system_time>& into) {
    const auto at =
        given.is(datum::kind::integer) ? core::time_from_epoch(given.integer) : std::nullopt;
    if (!at) {
        return false;
    }
    into = at;
    return true;
}

/// Members of an operation; false when `name` is none.
bool take_member(operation& op, unsigned& seen, const core::member& given) {
    const auto& name = given.name;
    const auto mark = bit(name);
    if (mark == 0) {
        if (name == "id") {
            op.id = take_string(op, name, given.value);
            if (op.id.empty() || op.id.size() > 255) {
                refuse(op, name, "'id' must be a string of 1 to 255 bytes");
            }
            return true;
        }
        if (name == "deadline") {
            if (!take_deadline(given.value, op.deadline)) {
                refuse(op, name, "'deadline' must be milliseconds since 1970-01-01 UTC");
            }
            return true;
        }
        return false;
    }
    seen |= mark;
    const auto* value = &given.value;
    if (name == "template") {
        op.template_name = take_string(op, name, *value);
        if (op.template_name.empty()) {
            refuse(op, name, "'template' must be the name of a template");
        }
    } else if (name == "op") {
        const auto text = take_string(op, name, *value);
        if (const auto parsed = core::parse_verb(text)) {
            op.op = *parsed;
        } else {
            refuse(op, name,
                   "'op' must be one of fetch, find, count, exists, insert, update, delete, call, "
                   "describe");
        }
    } else if (name == "name") {
        op.name = take_string(op, name, *value);
    } else if (name == "after") {
        op.after = take_string(op, name, *value);
        if (op.after.empty()) {
            refuse(op, name,
                   "'after' must be the 'next' of a reply; leave it out for the first page");
        }
    } else if (name == "key") {
        op.key = value;
    } else if (name == "where") {
        op.where = value;
    } else if (name == "data") {
        op.data = value;
    } else if (name == "set") {
        op.set = value;
    } else if (name == "inc") {
        op.inc = value;
    } else if (name == "if") {
        op.expect = value;
    } else if (name == "args") {
        op.args = value;
    } else if (name == "sort") {
        op.sort = value;
    } else if (name == "limit") {
        op.limit = value;
    } else if (name == "fields") {
        op.fields = value;
    } else if (name == "return") {
        op.returning = value;
    } else {
        op.on_conflict = value;
    }
    return true;
}

void unknown_member(operation& op, std::string_view name, core::arena& memory) {
    static const std::array<std::string, 18> known{
        "template", "op",    "key",    "where",  "data",        "set",  "inc", "if",       "args",
        "sort",     "limit", "fields", "return", "on_conflict", "name", "id",  "deadline", "after"};
    // A name can be as long as the message: what is echoed is bounded.
    const auto shown = memory.copy(name.substr(0, 64));
    refuse(op, shown,
           join(memory, {"unknown member '", shown, "'", core::did_you_mean(shown, known)}));
}

void finish(operation& op, unsigned seen, core::arena& memory) {
    if (op.refused != code::ok) {
        return;
    }
    if ((seen & bit("op")) == 0) {
        refuse(op, "op", "'op' is missing");
        return;
    }
    if ((seen & bit("template")) == 0 && op.op != verb::describe) {
        refuse(op, "template", "'template' is missing");
        return;
    }
    const auto extra = seen & ~allowed(op.op);
    if (extra != 0) {
        for (const auto name : operation_members) {
            if ((extra & bit(name)) != 0) {
                refuse(op, name,
                       join(memory,
                            {"'", name, "' does not belong to '", core::to_string(op.op), "'"}));
                return;
            }
        }
    }
    if ((seen & bit("name")) == 0 && op.op == verb::call) {
        refuse(op, "name", "'name' is missing: which of the template's calls");
    }
}

void read_operation(const datum& from, core::arena& memory, operation& op) {
    if (!from.is(datum::kind::object)) {
        refuse(op, "ops", "an operation must be an object");
        return;
    }
    unsigned seen = 0;
    for (const auto& given : from.members()) {
        if (!take_member(op, seen, given)) {
            unknown_member(op, given.name, memory);
        }
    }
    finish(op, seen, memory);
}

} // namespace

request_decoder::request_decoder(decode_limits limits)
    : limits_(limits), parser_(core::json_limits{limits.max_depth, 4 * 1024 * 1024}) {}

std::optional<refusal> request_decoder::decode(std::string_view body, core::arena& memory,
                                               core::request& into) {
    if (body.size() > limits_.max_body) {
        return refusal{code::limit_exceeded, "the message is larger than this service takes"};
    }
    if (body.empty()) {
        return refusal{code::invalid_envelope, "the message is empty"};
    }
    datum root;
    if (const auto failed = parser_.parse(body, memory, root)) {
        if (failed->why == core::json_error::reason::too_many_values) {
            return refusal{code::limit_exceeded, "the message holds too many values"};
        }
        char digits[24];
        const auto end = std::to_chars(digits, digits + sizeof digits, failed->offset).ptr;
        return refusal{
            code::invalid_envelope,
            join(memory,
                 {failed->what, ", at byte ", {digits, static_cast<std::size_t>(end - digits)}})};
    }
    if (!root.is(datum::kind::object)) {
        return refusal{code::invalid_envelope, "the message must be a JSON object"};
    }

    const datum* version = root.find("v");
    if (version == nullptr || !version->is(datum::kind::integer) || version->integer != 1) {
        return refusal{code::invalid_envelope, "'v' must be 1, the version of the protocol", "v"};
    }
    const datum* ops = root.find("ops");
    if (ops == nullptr) {
        if (root.find("mode") != nullptr) {
            return refusal{code::invalid_envelope, "'mode' goes with 'ops'", "mode"};
        }
        const auto operations = memory.make_span<operation>(1);
        auto& op = operations.front();
        unsigned seen = 0;
        for (const auto& given : root.members()) {
            if (given.name != "v" && !take_member(op, seen, given)) {
                unknown_member(op, given.name, memory);
            }
        }
        finish(op, seen, memory);
        into.enveloped = false;
        into.mode = core::envelope_mode::each;
        into.operations = operations;
        return std::nullopt;
    }

    into.enveloped = true;
    into.mode = core::envelope_mode::each;
    for (const auto& given : root.members()) {
        if (given.name == "mode") {
            if (given.value.is(datum::kind::string) && given.value.text == "each") {
                into.mode = core::envelope_mode::each;
            } else if (given.value.is(datum::kind::string) && given.value.text == "sequence") {
                into.mode = core::envelope_mode::sequence;
            } else if (given.value.is(datum::kind::string) && given.value.text == "atomic") {
                into.mode = core::envelope_mode::atomic;
            } else {
                return refusal{code::invalid_envelope, "'mode' must be each, sequence or atomic",
                               "mode"};
            }
        } else if (given.name != "v" && given.name != "ops") {
            const auto shown = memory.copy(given.name.substr(0, 64));
            return refusal{code::invalid_envelope,
                           join(memory, {"an envelope has no member '", shown, "'"}), shown};
        }
    }
    if (!ops->is(datum::kind::array) || ops->count == 0) {
        return refusal{code::invalid_envelope, "'ops' must be an array of one operation or more",
                       "ops"};
    }
    if (ops->count > limits_.max_operations) {
        return refusal{code::limit_exceeded,
                       join(memory, {"an envelope holds ", std::to_string(limits_.max_operations),
                                     " operations at most"}),
                       "ops"};
    }
    const auto operations = memory.make_span<operation>(ops->count);
    for (std::size_t i = 0; i < operations.size(); ++i) {
        read_operation(ops->items()[i], memory, operations[i]);
    }
    into.operations = operations;
    return std::nullopt;
}

namespace {

void append_operation_members(std::string& out, const operation& from) {
    const auto text = [&](std::string_view name, std::string_view value) {
        if (!value.empty()) {
            out.append(",\"").append(name).append("\":");
            core::append_json_string(out, value);
        }
    };
    const auto tree = [&](std::string_view name, const datum* value) {
        if (value != nullptr) {
            out.append(",\"").append(name).append("\":");
            core::append_json(out, *value);
        }
    };
    out.append("\"op\":\"").append(core::to_string(from.op)).append("\"");
    text("template", from.template_name);
    text("id", from.id);
    if (from.deadline) {
        const auto since = std::chrono::duration_cast<std::chrono::milliseconds>(
            from.deadline->time_since_epoch());
        char digits[24];
        const auto end = std::to_chars(digits, digits + sizeof digits, since.count()).ptr;
        out.append(",\"deadline\":").append(digits, end);
    }
    text("name", from.name);
    tree("key", from.key);
    tree("where", from.where);
    tree("data", from.data);
    tree("set", from.set);
    tree("inc", from.inc);
    tree("if", from.expect);
    tree("args", from.args);
    tree("sort", from.sort);
    tree("fields", from.fields);
    tree("limit", from.limit);
    tree("return", from.returning);
    tree("on_conflict", from.on_conflict);
    text("after", from.after);
}

} // namespace

void append_request(std::string& out, const core::request& from) {
    if (!from.enveloped && from.operations.size() == 1) {
        out.append("{\"v\":1,");
        append_operation_members(out, from.operations.front());
        out.push_back('}');
        return;
    }
    out.append("{\"v\":1,");
    if (from.mode == core::envelope_mode::sequence) {
        out.append("\"mode\":\"sequence\",");
    } else if (from.mode == core::envelope_mode::atomic) {
        out.append("\"mode\":\"atomic\",");
    }
    out.append("\"ops\":[");
    bool first = true;
    for (const auto& op : from.operations) {
        out.append(first ? "{" : ",{");
        first = false;
        append_operation_members(out, op);
        out.push_back('}');
    }
    out.append("]}");
}

namespace {
constexpr std::string_view envelope_head = R"({"v":1,"ops":[)";
constexpr std::string_view bare_head = R"({"v":1,)";
} // namespace

void envelope_writer::start() {
    body_.assign(envelope_head);
    operations_ = 0;
}

void envelope_writer::add(const core::operation& op) {
    body_.append(operations_ == 0 ? "{" : ",{");
    append_operation_members(body_, op);
    body_.push_back('}');
    ++operations_;
}

std::string_view envelope_writer::finish() {
    if (operations_ != 1) {
        body_.append("]}");
        return body_;
    }
    // One alone: its object becomes the message, the version in the place of its brace.
    constexpr auto spare = envelope_head.size() + 1 - bare_head.size();
    body_.replace(spare, bare_head.size(), bare_head);
    return std::string_view{body_}.substr(spare);
}

} // namespace beds::wire
