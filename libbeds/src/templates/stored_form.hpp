#pragma once

#include <beds/templates/template_def.hpp>

#include <optional>
#include <string_view>

namespace beds::templates {

/// As templates name it; "" for the usual form, which has no name there.
constexpr std::string_view to_string(stored_form form) {
    return form == stored_form::date ? "date" : form == stored_form::object_id ? "object_id" : "";
}

constexpr std::optional<stored_form> parse_stored_form(std::string_view text) {
    for (const auto form : {stored_form::date, stored_form::object_id}) {
        if (text == to_string(form)) {
            return form;
        }
    }
    return std::nullopt;
}

/// The one type that has it; of a form with a name.
constexpr core::type_kind type_of(stored_form form) {
    return form == stored_form::date ? core::type_kind::datetime : core::type_kind::string;
}

/// What a value has against the form in which its field is stored: "must be …" goes before it.
inline std::optional<std::string_view> against_form(const field& of, const core::value& value) {
    constexpr std::size_t digits = 24;
    constexpr std::string_view hexadecimal = "0123456789abcdef";
    if (value.is_null()) {
        return std::nullopt;
    }
    if (of.stored == stored_form::date && value.integer % 1000 != 0) {
        return "a datetime of whole milliseconds";
    }
    if (of.stored == stored_form::object_id &&
        (value.text.size() != digits ||
         value.text.find_first_not_of(hexadecimal) != std::string_view::npos)) {
        return "an ObjectId: 24 hexadecimal digits in lower case";
    }
    return std::nullopt;
}

/// The node's own time, as the field keeps it.
inline core::value time_for(const field& of, core::system_time now) {
    const auto microseconds =
        std::chrono::duration_cast<std::chrono::microseconds>(now.time_since_epoch()).count();
    return core::value::of_number(
        core::value::kind::datetime,
        of.stored == stored_form::date ? microseconds - microseconds % 1000 : microseconds);
}

} // namespace beds::templates
