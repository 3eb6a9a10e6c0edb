#include "adapters/mongodb/bson_writer.hpp"

#include <beds/core/json.hpp>

#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>

namespace beds::adapters::mongodb {

void bson_writer::clear() {
    bytes_.clear();
    open_.clear();
    open_.push_back(0);
    bytes_.resize(4);
}

void bson_writer::abandon(std::size_t position) {
    bytes_.resize(position);
    while (open_.back() >= position) {
        open_.pop_back();
    }
}

template <class Number>
void bson_writer::little_endian(Number value) {
    static_assert(std::endian::native == std::endian::little, "BSON is little-endian");
    const auto at = bytes_.size();
    bytes_.resize(at + sizeof value);
    std::memcpy(bytes_.data() + at, &value, sizeof value);
}

void bson_writer::element(std::uint8_t type, std::string_view name) {
    const auto at = bytes_.size();
    bytes_.resize(at + name.size() + 2);
    bytes_[at] = type;
    std::memcpy(bytes_.data() + at + 1, name.data(), name.size());
    bytes_[at + 1 + name.size()] = 0;
}

void bson_writer::begin(std::uint8_t type, std::string_view name) {
    element(type, name);
    open_.push_back(bytes_.size());
    bytes_.resize(bytes_.size() + 4);
}

void bson_writer::end() {
    bytes_.push_back(0);
    const auto start = open_.back();
    open_.pop_back();
    const auto size = static_cast<std::uint32_t>(bytes_.size() - start);
    std::memcpy(bytes_.data() + start, &size, sizeof size);
}

void bson_writer::boolean(std::string_view name, std::uint8_t value) {
    element(0x08, name);
    bytes_.push_back(value != 0 ? 1 : 0);
}

void bson_writer::int32(std::string_view name, std::int32_t value) {
    element(0x10, name);
    little_endian(value);
}

void bson_writer::int64(std::string_view name, std::int64_t value) {
    element(0x12, name);
    little_endian(value);
}

void bson_writer::real(std::string_view name, double value) {
    element(0x01, name);
    little_endian(value);
}

void bson_writer::decimal(std::string_view name, decimal128 value) {
    element(0x13, name);
    little_endian(value.low);
    little_endian(value.high);
}

void bson_writer::string(std::string_view name, std::string_view value) {
    element(0x02, name);
    little_endian(static_cast<std::int32_t>(value.size() + 1));
    bytes_.insert(bytes_.end(), value.begin(), value.end());
    bytes_.push_back(0);
}

void bson_writer::binary(std::string_view name, std::uint8_t subtype, std::string_view bytes) {
    element(0x05, name);
    little_endian(static_cast<std::int32_t>(bytes.size()));
    bytes_.push_back(subtype);
    bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
}

void bson_writer::object_id(std::string_view name, std::span<const std::uint8_t, 12> bytes) {
    element(0x07, name);
    bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
}

void bson_writer::date(std::string_view name, std::int64_t milliseconds) {
    element(0x09, name);
    little_endian(milliseconds);
}

void bson_writer::elements_of(std::span<const std::uint8_t> document) {
    bytes_.insert(bytes_.end(), document.begin() + 4, document.end() - 1);
}

std::span<const std::uint8_t> bson_writer::finish() {
    end();
    return bytes_;
}

element_name::element_name(std::size_t index) {
    const auto [end, problem] = std::to_chars(text_.data(), text_.data() + text_.size(), index);
    static_cast<void>(problem);
    size_ = static_cast<std::size_t>(end - text_.data());
}

namespace {

using core::type_kind;
using core::value;
using templates::stored_form;

int digit_value(char c) {
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return -1;
}

encode_problem append_uuid(bson_writer& to, std::string_view name, std::string_view text) {
    std::array<char, 16> bytes{};
    std::size_t count = 0;
    for (std::size_t i = 0; i + 1 < text.size() && count < bytes.size();) {
        if (text[i] == '-') {
            ++i;
            continue;
        }
        const int high = digit_value(text[i]);
        const int low = digit_value(text[i + 1]);
        if (high < 0 || low < 0) {
            return "not a UUID";
        }
        bytes[count++] = static_cast<char>(high * 16 + low);
        i += 2;
    }
    if (count != bytes.size()) {
        return "not a UUID";
    }
    to.binary(name, 4, {bytes.data(), bytes.size()});
    return std::nullopt;
}

encode_problem append_object_id(bson_writer& to, std::string_view name, std::string_view text) {
    constexpr std::string_view wrong = "not an ObjectId: 24 hexadecimal digits in lower case";
    std::array<std::uint8_t, 12> bytes{};
    if (text.size() != 2 * bytes.size()) {
        return wrong;
    }
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        const int high = digit_value(text[2 * i]);
        const int low = digit_value(text[2 * i + 1]);
        if (high < 0 || low < 0) {
            return wrong;
        }
        bytes[i] = static_cast<std::uint8_t>(high * 16 + low);
    }
    to.object_id(name, bytes);
    return std::nullopt;
}

void append_unsigned(bson_writer& to, std::string_view name, std::uint64_t number) {
    if (number <= static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
        to.int64(name, static_cast<std::int64_t>(number));
    } else {
        to.decimal(name, to_decimal128(number));
    }
}

/// A number that is not written as an integer: the double that is the same number, else decimal128.
encode_problem append_number(bson_writer& to, std::string_view name, std::string_view token) {
    const auto exact = to_decimal128(token);
    double number = 0;
    const char* const end = token.data() + token.size();
    const auto [stopped, problem] = std::from_chars(token.data(), end, number);
    if (problem == std::errc{} && stopped == end && std::isfinite(number)) {
        // Is the shortest text of the double the same number as the token?
        std::array<char, 32> shortest{};
        const auto written =
            std::to_chars(shortest.data(), shortest.data() + shortest.size(), number);
        const std::string_view text{shortest.data(),
                                    static_cast<std::size_t>(written.ptr - shortest.data())};
        const auto again = to_decimal128(text);
        std::string one;
        std::string other;
        constexpr unsigned scale = 40;
        constexpr unsigned digits = 400;
        if (exact && again &&
            ((exact->high == again->high && exact->low == again->low) ||
             (append_decimal(one, *exact, scale, digits) &&
              append_decimal(other, *again, scale, digits) && one == other))) {
            to.real(name, number);
            return std::nullopt;
        }
    }
    if (!exact) {
        return "a number that cannot be kept exactly";
    }
    to.decimal(name, *exact);
    return std::nullopt;
}

} // namespace

encode_problem append(bson_writer& to, std::string_view name, const core::datum& tree) {
    switch (tree.type) {
    case core::datum::kind::null:
        to.null(name);
        return std::nullopt;
    case core::datum::kind::boolean:
        to.boolean(name, tree.boolean ? 1 : 0);
        return std::nullopt;
    case core::datum::kind::integer:
        if (tree.text == "-0") {
            to.real(name, -0.0);
        } else {
            to.int64(name, tree.integer);
        }
        return std::nullopt;
    case core::datum::kind::unsigned_integer:
        append_unsigned(to, name, tree.unsigned_integer);
        return std::nullopt;
    case core::datum::kind::number:
        return append_number(to, name, tree.text);
    case core::datum::kind::string:
        to.string(name, tree.text);
        return std::nullopt;
    case core::datum::kind::array: {
        to.begin_array(name);
        std::size_t i = 0;
        for (const auto& item : tree.items()) {
            if (auto problem = append(to, element_name{i++}, item)) {
                return problem;
            }
        }
        to.end();
        return std::nullopt;
    }
    case core::datum::kind::object:
        to.begin_document(name);
        for (const auto& item : tree.members()) {
            if (item.name.find('\0') != std::string_view::npos) {
                return "a member's name contains a NUL";
            }
            // Reading leaves members of this name out: what was sent would not come back.
            if (item.name == "_beds") {
                return "a member is called '_beds', which is reserved";
            }
            if (auto problem = append(to, item.name, item.value)) {
                return problem;
            }
        }
        to.end();
        return std::nullopt;
    }
    return "a value of no known kind";
}

encode_problem append(bson_writer& to, std::string_view name, const value& given,
                      const core::field_type& type, stored_form form, core::arena& memory) {
    switch (given.type) {
    case value::kind::null:
        to.null(name);
        return std::nullopt;
    case value::kind::boolean:
        to.boolean(name, given.integer != 0 ? 1 : 0);
        return std::nullopt;
    case value::kind::integer:
        if (type.kind == type_kind::int8 || type.kind == type_kind::int16 ||
            type.kind == type_kind::int32) {
            to.int32(name, static_cast<std::int32_t>(given.integer));
        } else {
            to.int64(name, given.integer);
        }
        return std::nullopt;
    case value::kind::unsigned_integer:
        if (type.kind == type_kind::uint8 || type.kind == type_kind::uint16) {
            to.int32(name, static_cast<std::int32_t>(given.unsigned_integer));
        } else {
            append_unsigned(to, name, given.unsigned_integer);
        }
        return std::nullopt;
    case value::kind::real:
        to.real(name, given.real);
        return std::nullopt;
    case value::kind::decimal: {
        const auto number = to_decimal128(given.text);
        if (!number) {
            return "a decimal of more than 34 digits";
        }
        to.decimal(name, *number);
        return std::nullopt;
    }
    case value::kind::string:
        if (form == stored_form::object_id) {
            return append_object_id(to, name, given.text);
        }
        to.string(name, given.text);
        return std::nullopt;
    case value::kind::uuid:
        return append_uuid(to, name, given.text);
    case value::kind::bytes:
        to.binary(name, 0, given.text);
        return std::nullopt;
    case value::kind::date: {
        std::array<char, 32> text{};
        to.string(name, {text.data(), core::format_date(given.integer, text.data())});
        return std::nullopt;
    }
    case value::kind::time: {
        std::array<char, 32> text{};
        to.string(name, {text.data(), core::format_time(given.integer, text.data())});
        return std::nullopt;
    }
    case value::kind::datetime: {
        if (form == stored_form::usual) {
            to.int64(name, given.integer);
            return std::nullopt;
        }
        if (given.integer % 1000 != 0) {
            return "a time with a part below the millisecond";
        }
        to.date(name, given.integer / 1000);
        return std::nullopt;
    }
    case value::kind::json: {
        core::datum tree;
        if (core::parse_json(given.text, memory, tree)) {
            return "not JSON";
        }
        return append(to, name, tree);
    }
    case value::kind::document:
        if (given.document == nullptr) {
            to.null(name);
            return std::nullopt;
        }
        return append(to, name, *given.document);
    }
    return "a value of no known kind";
}

encode_problem append_field(bson_writer& to, std::string_view name, const value& given,
                            const templates::template_def& target, templates::field_id field,
                            core::arena& memory) {
    return append(to, name, given, target.fields[field].type, target.fields[field].stored, memory);
}

} // namespace beds::adapters::mongodb
