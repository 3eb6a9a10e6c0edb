#include "templates/toml/document.hpp"

#include "core/toml_include.hpp"

#include <algorithm>
#include <sstream>
#include <utility>

namespace beds::templates::toml_text {
namespace {

node make(const toml::node& from);

template <class Temporal>
std::string temporal_text(const Temporal& value) {
    std::ostringstream text;
    text << value;
    return std::move(text).str();
}

void fill_table(const toml::table& from, node& to) {
    std::vector<std::pair<toml::source_position, member>> found;
    found.reserve(from.size());
    for (auto&& [key, value] : from) {
        const auto at = key.source().begin;
        found.emplace_back(at, member{std::string{key.str()}, at.line, make(value)});
    }
    std::stable_sort(found.begin(), found.end(),
                     [](const auto& left, const auto& right) { return left.first < right.first; });
    for (auto& each : found) {
        // A table's own region begins at its header or brace; the key is where people look.
        if (each.second.value.line == 0) {
            each.second.value.line = each.second.line;
        }
        to.members.push_back(std::move(each.second));
    }
}

node make(const toml::node& from) {
    node to;
    to.line = from.source().begin.line;
    switch (from.type()) {
    case toml::node_type::table:
        to.type = node::kind::table;
        fill_table(*from.as_table(), to);
        break;
    case toml::node_type::array:
        to.type = node::kind::array;
        for (const toml::node& item : *from.as_array()) {
            to.items.push_back(make(item));
        }
        break;
    case toml::node_type::string:
        to.type = node::kind::text;
        to.text = from.as_string()->get();
        break;
    case toml::node_type::integer:
        to.type = node::kind::integer;
        to.integer = from.as_integer()->get();
        break;
    case toml::node_type::floating_point:
        to.type = node::kind::real;
        to.real = from.as_floating_point()->get();
        break;
    case toml::node_type::boolean:
        to.type = node::kind::boolean;
        to.boolean = from.as_boolean()->get();
        break;
    case toml::node_type::date:
        to.type = node::kind::temporal;
        to.text = temporal_text(from.as_date()->get());
        break;
    case toml::node_type::time:
        to.type = node::kind::temporal;
        to.text = temporal_text(from.as_time()->get());
        break;
    case toml::node_type::date_time:
        to.type = node::kind::temporal;
        to.text = temporal_text(from.as_date_time()->get());
        break;
    case toml::node_type::none:
        break;
    }
    return to;
}

} // namespace

const node* node::find(std::string_view name) const {
    for (const member& each : members) {
        if (each.name == name) {
            return &each.value;
        }
    }
    return nullptr;
}

std::string_view describe(node::kind type) {
    switch (type) {
    case node::kind::boolean:
        return "true or false";
    case node::kind::integer:
        return "an integer";
    case node::kind::real:
        return "a number with a fraction";
    case node::kind::text:
        return "text";
    case node::kind::temporal:
        return "a date or time";
    case node::kind::array:
        return "an array";
    case node::kind::table:
        return "a table";
    }
    return "?";
}

std::variant<node, syntax_error> parse(std::string_view text) {
    const toml::parse_result result = toml::parse(text);
    if (!result) {
        const toml::parse_error& failure = result.error();
        return syntax_error{failure.source().begin.line, std::string{failure.description()}};
    }
    return make(result.table());
}

} // namespace beds::templates::toml_text
