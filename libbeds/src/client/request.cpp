#include <beds/client/request.hpp>
#include <beds/core/error.hpp>
#include <beds/core/json.hpp>
#include <beds/wire/request.hpp>

#include <algorithm>
#include <limits>

namespace beds::client {
namespace {

operation make(core::verb op, std::string template_name) {
    operation made;
    made.op = op;
    made.template_name = std::move(template_name);
    return made;
}

const core::datum* keep(const std::optional<value>& from, core::arena& memory) {
    if (!from) {
        return nullptr;
    }
    auto* kept = memory.make<core::datum>();
    *kept = from->view(memory);
    return kept;
}

const core::datum* keep(const std::vector<std::string>& from, core::arena& memory) {
    if (from.empty()) {
        return nullptr;
    }
    const auto items = memory.make_span<core::datum>(from.size());
    for (std::size_t i = 0; i < items.size(); ++i) {
        items[i] = core::datum::of(std::string_view{from[i]});
    }
    auto* kept = memory.make<core::datum>();
    *kept = core::datum::of(std::span<const core::datum>{items});
    return kept;
}

std::optional<value> owned(const core::datum* from) {
    if (from == nullptr) {
        return std::nullopt;
    }
    std::string text;
    core::append_json(text, *from);
    return value::from_json(text);
}

[[noreturn]] void refuse(const std::string& place, std::string_view why) {
    throw core::error(core::errc::protocol, place + std::string{why});
}

std::vector<std::string> owned_names(const core::datum* from, const std::string& place,
                                     std::string_view member) {
    std::vector<std::string> names;
    if (from == nullptr) {
        return names;
    }
    bool right = from->is(core::datum::kind::array);
    if (right) {
        for (const auto& item : from->items()) {
            right = right && item.is(core::datum::kind::string);
            names.emplace_back(item.text);
        }
    }
    if (!right) {
        refuse(place, "'" + std::string{member} + "' must be an array of names");
    }
    return names;
}

std::optional<std::uint32_t> owned_limit(const core::datum* from, const std::string& place) {
    if (from == nullptr) {
        return std::nullopt;
    }
    constexpr auto most = std::numeric_limits<std::uint32_t>::max(); // above every template's
    if (from->is(core::datum::kind::unsigned_integer)) {
        return most;
    }
    if (!from->is(core::datum::kind::integer) || from->integer < 1) {
        refuse(place, "'limit' must be a whole number above 0");
    }
    return static_cast<std::uint32_t>(std::min<std::int64_t>(from->integer, most));
}

} // namespace

operation fetch(std::string template_name, value key) {
    auto made = make(core::verb::fetch, std::move(template_name));
    made.key = std::move(key);
    return made;
}

operation find(std::string template_name, members where) {
    auto made = make(core::verb::find, std::move(template_name));
    if (!where.empty()) {
        made.where = value::object(std::move(where));
    }
    return made;
}

operation count(std::string template_name, members where) {
    auto made = find(std::move(template_name), std::move(where));
    made.op = core::verb::count;
    return made;
}

operation exists(std::string template_name, members where) {
    auto made = find(std::move(template_name), std::move(where));
    made.op = core::verb::exists;
    return made;
}

operation insert(std::string template_name, members row) {
    auto made = make(core::verb::insert, std::move(template_name));
    made.data = value::object(std::move(row));
    return made;
}

operation insert(std::string template_name, std::vector<value> rows) {
    auto made = make(core::verb::insert, std::move(template_name));
    made.data = value::array(std::move(rows));
    return made;
}

operation update(std::string template_name, value key, members set) {
    auto made = make(core::verb::update, std::move(template_name));
    made.key = std::move(key);
    if (!set.empty()) {
        made.set = value::object(std::move(set));
    }
    return made;
}

operation remove(std::string template_name, value key) {
    auto made = make(core::verb::remove, std::move(template_name));
    made.key = std::move(key);
    return made;
}

operation call(std::string template_name, std::string name, members args) {
    auto made = make(core::verb::call, std::move(template_name));
    made.name = std::move(name);
    made.args = value::object(std::move(args));
    return made;
}

operation describe(std::string template_name) {
    return make(core::verb::describe, std::move(template_name));
}

request request::from_json(std::string_view text) {
    core::arena memory;
    core::request read;
    wire::request_decoder decoder;
    if (const auto refused = decoder.decode(text, memory, read)) {
        throw core::error(refused->code == core::code::limit_exceeded ? core::errc::limit_exceeded
                                                                      : core::errc::protocol,
                          std::string{refused->detail});
    }
    request made;
    made.mode = read.mode;
    made.enveloped = read.enveloped;
    for (std::size_t i = 0; i < read.operations.size(); ++i) {
        const auto& op = read.operations[i];
        const auto place =
            read.enveloped ? "operation " + std::to_string(i + 1) + ": " : std::string{};
        if (op.refused != core::code::ok) {
            refuse(place, op.refusal);
        }
        auto& to = made.operations.emplace_back(make(op.op, std::string{op.template_name}));
        to.name = op.name;
        to.id = op.id;
        to.deadline = op.deadline;
        to.key = owned(op.key);
        to.where = owned(op.where);
        to.data = owned(op.data);
        to.set = owned(op.set);
        to.inc = owned(op.inc);
        to.expect = owned(op.expect);
        to.args = owned(op.args);
        to.sort = owned_names(op.sort, place, "sort");
        to.fields = owned_names(op.fields, place, "fields");
        to.limit = owned_limit(op.limit, place);
        to.after = op.after;
        if (op.fields != nullptr && to.fields.empty()) {
            refuse(place, "'fields' must name a field"); // here it would mean all of them
        }
        to.returning = owned_names(op.returning, place, "return");
        if (op.returning != nullptr && to.returning.empty()) {
            refuse(place, "'return' must name a field"); // here it would mean no rows
        }
        to.on_conflict = owned(op.on_conflict);
    }
    return made;
}

core::request view(const request& from, core::arena& memory) {
    core::request made;
    made.mode = from.mode;
    made.enveloped = from.enveloped || from.operations.size() != 1;
    made.message_id = from.id;
    made.event = from.event;
    made.depth = from.depth;
    const auto operations = memory.make_span<core::operation>(from.operations.size());
    for (std::size_t i = 0; i < operations.size(); ++i) {
        const auto& op = from.operations[i];
        auto& to = operations[i];
        to.op = op.op;
        to.template_name = op.template_name;
        to.name = op.name;
        to.id = op.id;
        to.deadline = op.deadline;
        to.key = keep(op.key, memory);
        to.where = keep(op.where, memory);
        to.data = keep(op.data, memory);
        to.set = keep(op.set, memory);
        to.inc = keep(op.inc, memory);
        to.expect = keep(op.expect, memory);
        to.on_conflict = keep(op.on_conflict, memory);
        to.args = keep(op.args, memory);
        to.sort = keep(op.sort, memory);
        to.fields = keep(op.fields, memory);
        to.returning = keep(op.returning, memory);
        to.after = op.after;
        if (op.limit) {
            auto* limit = memory.make<core::datum>();
            *limit = core::datum::of(static_cast<std::int64_t>(*op.limit));
            to.limit = limit;
        }
    }
    made.operations = operations;
    return made;
}

} // namespace beds::client
