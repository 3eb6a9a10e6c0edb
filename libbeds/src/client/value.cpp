#include <beds/client/value.hpp>
#include <beds/core/error.hpp>
#include <beds/core/json.hpp>

#include <charconv>
#include <cmath>

namespace beds::client {
namespace {

value owned(const core::datum& from) {
    using kind = core::datum::kind;
    switch (from.type) {
    case kind::null:
        return {};
    case kind::boolean:
        return from.boolean;
    case kind::integer:
        return from.integer;
    case kind::unsigned_integer:
        return from.unsigned_integer;
    case kind::number:
        return value::number(std::string{from.text});
    case kind::string:
        return from.text;
    case kind::array: {
        std::vector<value> items;
        for (const auto& item : from.items()) {
            items.push_back(owned(item));
        }
        return value::array(std::move(items));
    }
    case kind::object: {
        members made;
        for (const auto& one : from.members()) {
            made.emplace_back(std::string{one.name}, owned(one.value));
        }
        return value::object(std::move(made));
    }
    }
    return {};
}

} // namespace

value::value(double given) {
    if (!std::isfinite(given)) {
        throw core::error(core::errc::protocol, "JSON has no NaN and no infinity");
    }
    char digits[40];
    const auto end = std::to_chars(digits, digits + sizeof digits, given).ptr;
    content_ = number_token{std::string{digits, end}};
}

value value::array(std::vector<value> items) {
    value made;
    made.content_ = std::move(items);
    return made;
}

value value::object(std::vector<member> given) {
    value made;
    made.content_ = std::move(given);
    return made;
}

value value::number(std::string token) {
    core::arena memory{256};
    core::datum parsed;
    const bool number =
        !core::parse_json(token, memory, parsed) &&
        (parsed.is(core::datum::kind::integer) || parsed.is(core::datum::kind::unsigned_integer) ||
         parsed.is(core::datum::kind::number));
    if (!number) {
        throw core::error(core::errc::protocol, "'" + token + "' is not a JSON number");
    }
    value made;
    made.content_ = number_token{std::move(token)};
    return made;
}

value value::from_json(std::string_view text) {
    core::arena memory;
    core::datum parsed;
    if (const auto failed = core::parse_json(text, memory, parsed)) {
        throw core::error(core::errc::protocol, std::string{failed->what} + ", at byte " +
                                                    std::to_string(failed->offset));
    }
    return owned(parsed);
}

core::datum value::view(core::arena& memory) const {
    struct visitor {
        core::arena& memory;
        core::datum operator()(std::nullptr_t) const { return core::datum::of_null(); }
        core::datum operator()(bool given) const { return core::datum::of(given); }
        core::datum operator()(std::int64_t given) const { return core::datum::of(given); }
        core::datum operator()(std::uint64_t given) const {
            // One number has one form: only what int64 cannot hold is unsigned.
            return given <= static_cast<std::uint64_t>(INT64_MAX)
                       ? core::datum::of(static_cast<std::int64_t>(given))
                       : core::datum::of(given);
        }
        core::datum operator()(const std::string& given) const {
            return core::datum::of(std::string_view{given});
        }
        core::datum operator()(const number_token& given) const {
            core::datum parsed;
            core::parse_json(given.text, memory, parsed);
            return parsed;
        }
        core::datum operator()(const std::vector<value>& given) const {
            const auto items = memory.make_span<core::datum>(given.size());
            for (std::size_t i = 0; i < items.size(); ++i) {
                items[i] = given[i].view(memory);
            }
            return core::datum::of(std::span<const core::datum>{items});
        }
        core::datum operator()(const std::vector<member>& given) const {
            const auto made = memory.make_span<core::member>(given.size());
            for (std::size_t i = 0; i < made.size(); ++i) {
                made[i] = {given[i].first, given[i].second.view(memory)};
            }
            return core::datum::of(std::span<const core::member>{made});
        }
    };
    return std::visit(visitor{memory}, content_);
}

} // namespace beds::client
