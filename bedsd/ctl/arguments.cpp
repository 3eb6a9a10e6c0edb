#include "arguments.hpp"

#include <beds/core/error.hpp>
#include <beds/core/json.hpp>
#include <beds/core/operation.hpp>

#include <algorithm>
#include <array>
#include <utility>

namespace bedsctl {
namespace {

using beds::client::members;
using beds::client::operation;
using beds::client::value;
using beds::core::verb;

const std::array<std::string, 9> verbs{"fetch",  "find",   "count", "exists",  "insert",
                                       "update", "delete", "call",  "describe"};

members parse_members(const std::vector<std::string>& words) {
    members made;
    for (const auto& word : words) {
        auto next = parse_member(word);
        if (std::any_of(made.begin(), made.end(),
                        [&](const auto& one) { return one.first == next.first; })) {
            throw usage_error("'" + next.first + "' is given twice");
        }
        made.push_back(std::move(next));
    }
    return made;
}

/// Conditions: `name=text` is equality, `name.ge=text` an operator; several operators of one field
/// are a conjunction.
std::optional<value> conditions(const members& given) {
    struct condition {
        std::string field;
        std::optional<value> equal;
        members operators;
    };
    std::vector<condition> made;
    for (const auto& [name, content] : given) {
        const auto dot = name.find('.');
        const auto field = name.substr(0, dot);
        auto found = std::find_if(made.begin(), made.end(),
                                  [&](const auto& one) { return one.field == field; });
        if (found == made.end()) {
            made.push_back({field, {}, {}});
            found = made.end() - 1;
        }
        if (dot == std::string::npos) {
            found->equal = content;
        } else {
            found->operators.emplace_back(name.substr(dot + 1), content);
        }
        if (found->equal && !found->operators.empty()) {
            throw usage_error("'" + field + "=…' and '" + field +
                              ".OPERATOR=…' exclude each other; write '" + field + ".eq=…'");
        }
    }
    if (made.empty()) {
        return std::nullopt;
    }
    members object;
    for (auto& one : made) {
        object.emplace_back(one.field, one.equal ? std::move(*one.equal)
                                                 : value::object(std::move(one.operators)));
    }
    return value::object(std::move(object));
}

/// Takes `key=…` or `key.FIELD=…` out of the members.
std::optional<value> take_key(members& from) {
    std::optional<value> scalar;
    members compound;
    members rest;
    for (auto& one : from) {
        if (one.first == "key") {
            scalar = std::move(one.second);
        } else if (one.first.compare(0, 4, "key.") == 0 && one.first.size() > 4) {
            compound.emplace_back(one.first.substr(4), std::move(one.second));
        } else {
            rest.push_back(std::move(one));
        }
    }
    if (scalar && !compound.empty()) {
        throw usage_error("give either key=… or key.FIELD=… for every field of a compound key");
    }
    from = std::move(rest);
    if (!compound.empty()) {
        return value::object(std::move(compound));
    }
    return scalar;
}

void refuse_options(const call_arguments& given, verb op) {
    const auto takes = [&](bool given_one, const char* option, std::initializer_list<verb> where) {
        if (given_one && std::find(where.begin(), where.end(), op) == where.end()) {
            std::string known;
            for (const auto one : where) {
                known.append(known.empty() ? "" : ", ").append(to_string(one));
            }
            throw usage_error(std::string{option} + " goes with " + known + ", not with '" +
                              given.op + "'");
        }
    };
    takes(!given.fields.empty(), "--fields", {verb::fetch, verb::find});
    takes(!given.returning.empty(), "--return", {verb::insert, verb::update, verb::remove});
    takes(!given.sort.empty(), "--sort", {verb::find});
    takes(given.limit.has_value(), "--limit", {verb::find});
    takes(!given.after.empty(), "--after", {verb::find});
    takes(!given.set.empty(), "--set", {verb::update});
    takes(!given.inc.empty(), "--inc", {verb::update});
    takes(!given.expect.empty(), "--if", {verb::update, verb::remove});
    takes(!given.where.empty(), "--where",
          {verb::find, verb::count, verb::exists, verb::update, verb::remove});
}

void append(members& to, members from) {
    for (auto& one : from) {
        if (std::any_of(to.begin(), to.end(),
                        [&](const auto& other) { return other.first == one.first; })) {
            throw usage_error("'" + one.first + "' is given twice");
        }
        to.push_back(std::move(one));
    }
}

std::optional<value> object_or_nothing(members from) {
    return from.empty() ? std::nullopt : std::optional<value>{value::object(std::move(from))};
}

/// Key or conditions, never both: what an update or delete changes.
void set_target(operation& made, std::optional<value> key, const members& where) {
    made.key = std::move(key);
    made.where = conditions(where);
    if (made.key.has_value() == made.where.has_value()) {
        throw usage_error(made.key ? "give either a key or conditions, not both"
                                   : "say what to change: key=VALUE, or " +
                                         std::string{made.op == verb::update
                                                         ? "--where FIELD=VALUE"
                                                         : "conditions FIELD=VALUE"});
    }
}

bool is_number(const beds::core::datum& given) {
    using kind = beds::core::datum::kind;
    return given.is(kind::integer) || given.is(kind::unsigned_integer) || given.is(kind::number);
}

} // namespace

value::member parse_member(std::string_view word) {
    const auto equals = word.find('=');
    const bool json = equals != std::string_view::npos && equals > 0 && word[equals - 1] == ':';
    const auto name = word.substr(0, json ? equals - 1 : equals);
    if (equals == std::string_view::npos || name.empty()) {
        throw usage_error(
            "'" + std::string{word} +
            "' is neither name=text nor name:=json, for example key=MX or amount:=10");
    }
    if (!beds::core::is_utf8(word)) {
        throw usage_error(
            (beds::core::is_utf8(name) ? "'" + std::string{name} + "=…'" : "an argument") +
            " is not UTF-8: is the terminal's encoding another one? Fields of type "
            "bytes take base64");
    }
    const auto text = word.substr(equals + 1);
    if (!json) {
        return {std::string{name}, value{text}};
    }
    try {
        return {std::string{name}, value::from_json(text)};
    } catch (const beds::core::error& failed) {
        throw usage_error("'" + std::string{word} + "': what follows := is not JSON (" +
                          failed.message() + "); text is given as " + std::string{name} + "=…");
    }
}

std::string json_instead(const call_arguments& given, std::string_view field,
                         std::string_view detail) {
    const auto ends = [&](std::string_view with) {
        return detail.size() >= with.size() && detail.substr(detail.size() - with.size()) == with;
    };
    const bool number = ends("must be a number");
    if (!number && !ends(" true or false")) {
        return {};
    }
    for (const auto* words :
         {&given.members, &given.where, &given.set, &given.inc, &given.expect}) {
        for (const auto& word : *words) {
            const auto equals = std::min(word.find('='), word.size());
            const auto name = word.substr(0, equals);
            const auto part = name.compare(0, 4, "key.") == 0 ? name.substr(4) : name;
            if (part.substr(0, part.find('.')) != field) {
                continue;
            }
            const auto text = word.substr(std::min(equals + 1, word.size()));
            beds::core::arena memory{256};
            beds::core::datum parsed;
            if (!beds::core::parse_json(text, memory, parsed) &&
                (number ? is_number(parsed) : parsed.is(beds::core::datum::kind::boolean))) {
                return "write " + name + ":=" + text + " (a value in JSON)";
            }
        }
    }
    return {};
}

std::string suggest_verb(std::string_view op) {
    return beds::core::did_you_mean(op, verbs);
}

operation make_operation(const call_arguments& given) {
    if (given.template_name.empty() || given.op.empty()) {
        throw usage_error("a template and an operation are needed, for example: bedsctl call "
                          "countries fetch key=MX");
    }
    operation made;
    made.template_name = given.template_name;
    made.op = beds::core::parse_verb(given.op).value_or(verb::call);
    if (made.op == verb::describe) {
        throw usage_error("that is a command of its own: bedsctl describe " + given.template_name);
    }
    if (given.op == "call") {
        throw usage_error("say the name of the call itself, for example: bedsctl call accounts "
                          "transfer from:=1 to:=2 amount=10.00");
    }
    refuse_options(given, made.op);
    made.fields = given.fields;
    made.returning = given.returning;
    made.sort = given.sort;
    made.limit = given.limit;
    made.after = given.after;
    made.inc = object_or_nothing(parse_members(given.inc));
    made.expect = object_or_nothing(parse_members(given.expect));
    auto words = parse_members(given.members);

    switch (made.op) {
    case verb::fetch:
        made.key = take_key(words);
        if (!made.key || !words.empty()) {
            throw usage_error("fetch takes key=VALUE, or key.FIELD=VALUE for every field of a "
                              "compound key; to look for other fields use find");
        }
        break;
    case verb::find:
    case verb::count:
    case verb::exists:
        append(words, parse_members(given.where));
        made.where = conditions(words);
        break;
    case verb::insert:
        if (words.empty()) {
            throw usage_error("insert takes the row's fields: FIELD=VALUE…");
        }
        made.data = value::object(std::move(words));
        break;
    case verb::update: {
        auto key = take_key(words);
        append(words, parse_members(given.set));
        set_target(made, std::move(key), parse_members(given.where));
        made.set = object_or_nothing(std::move(words));
        if (!made.set && !made.inc) {
            throw usage_error("say what to change: FIELD=VALUE… or --inc FIELD=NUMBER");
        }
        break;
    }
    case verb::remove: {
        auto key = take_key(words);
        append(words, parse_members(given.where));
        set_target(made, std::move(key), words);
        break;
    }
    case verb::call:
    case verb::describe:
        made.name = given.op;
        made.args = value::object(std::move(words));
        break;
    }
    return made;
}

} // namespace bedsctl
