#include <beds/core/json.hpp>

#include <boost/json/basic_parser_impl.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <vector>

namespace beds::core {
namespace {

/// Builds untyped values from the events of Boost.JSON's streaming parser. Finished values wait on
/// one stack until their array or object closes and moves them into the arena.
class tree_builder {
public:
    static constexpr std::size_t max_array_size = static_cast<std::size_t>(-1);
    static constexpr std::size_t max_object_size = static_cast<std::size_t>(-1);
    static constexpr std::size_t max_string_size = static_cast<std::size_t>(-1);
    static constexpr std::size_t max_key_size = static_cast<std::size_t>(-1);

    using code = boost::json::error_code;

    void start(std::string_view text, arena& memory, std::size_t max_values) {
        text_ = text;
        memory_ = &memory;
        values_left_ = max_values;
        stack_.clear();
        names_.clear();
        partial_.clear();
        failure_.reset();
    }

    [[nodiscard]] const datum& root() const { return stack_.front(); }
    [[nodiscard]] const std::optional<json_error>& failure() const { return failure_; }

    bool on_document_begin(code&) { return true; }
    bool on_document_end(code&) { return true; }

    bool on_array_begin(code&) { return true; }
    bool on_array_end(std::size_t count, code& ec) {
        const auto items = memory_->make_span<datum>(count);
        const auto first = stack_.size() - count;
        for (std::size_t i = 0; i < count; ++i) {
            items[i] = stack_[first + i];
        }
        stack_.resize(first);
        return push(datum::of(std::span<const datum>{items}), ec);
    }

    bool on_object_begin(code&) { return true; }
    bool on_object_end(std::size_t count, code& ec) {
        const auto members = memory_->make_span<member>(count);
        const auto first = stack_.size() - count;
        // Inner objects took their names away when they closed: the last ones are this object's.
        const auto first_name = names_.size() - count;
        for (std::size_t i = 0; i < count; ++i) {
            members[i] = {names_[first_name + i], stack_[first + i]};
        }
        stack_.resize(first);
        names_.resize(first_name);
        if (has_duplicates(members)) {
            failure_ = {json_error::reason::duplicate_member, "an object names a member twice", 0};
            ec = boost::json::error::exception;
            return false;
        }
        return push(datum::of(std::span<const member>{members}), ec);
    }

    bool on_key_part(boost::json::string_view part, std::size_t, code&) {
        partial_.append(part.data(), part.size());
        return true;
    }
    bool on_key(boost::json::string_view last, std::size_t, code&) {
        names_.push_back(finish_string(last));
        return true;
    }
    bool on_string_part(boost::json::string_view part, std::size_t, code&) {
        partial_.append(part.data(), part.size());
        return true;
    }
    bool on_string(boost::json::string_view last, std::size_t, code& ec) {
        return push(datum::of(finish_string(last)), ec);
    }

    bool on_number_part(boost::json::string_view, code&) { return true; }
    bool on_int64(std::int64_t number, boost::json::string_view token, code& ec) {
        auto made = datum::of(number);
        made.text = {token.data(), token.size()};
        return push(made, ec);
    }
    bool on_uint64(std::uint64_t number, boost::json::string_view token, code& ec) {
        auto made = datum::of(number);
        made.text = {token.data(), token.size()};
        return push(made, ec);
    }
    bool on_double(double, boost::json::string_view token, code& ec) {
        // The parser's own conversion is not exact; the token is what counts.
        return push(datum::of_number({token.data(), token.size()}), ec);
    }
    bool on_bool(bool given, code& ec) { return push(datum::of(given), ec); }
    bool on_null(code& ec) { return push(datum::of_null(), ec); }
    bool on_comment_part(boost::json::string_view, code&) { return true; }
    bool on_comment(boost::json::string_view, code&) { return true; }

private:
    std::string_view finish_string(boost::json::string_view last) {
        if (partial_.empty()) {
            const auto* begin = last.data();
            if (begin >= text_.data() && begin <= text_.data() + text_.size()) {
                return {begin, last.size()};
            }
            return memory_->copy(std::string_view{last.data(), last.size()});
        }
        partial_.append(last.data(), last.size());
        const auto kept = memory_->copy(std::string_view{partial_});
        partial_.clear();
        return kept;
    }

    bool push(const datum& value, code& ec) {
        if (values_left_-- == 0) {
            failure_ = {json_error::reason::too_many_values, "too many values", 0};
            ec = boost::json::error::exception;
            return false;
        }
        stack_.push_back(value);
        return true;
    }

    bool has_duplicates(std::span<const member> members) {
        if (members.size() <= 12) {
            for (std::size_t i = 1; i < members.size(); ++i) {
                for (std::size_t k = 0; k < i; ++k) {
                    if (members[i].name == members[k].name) {
                        return true;
                    }
                }
            }
            return false;
        }
        sorted_.clear();
        for (const auto& m : members) {
            sorted_.push_back(m.name);
        }
        std::sort(sorted_.begin(), sorted_.end());
        return std::adjacent_find(sorted_.begin(), sorted_.end()) != sorted_.end();
    }

    std::string_view text_;
    arena* memory_ = nullptr;
    std::size_t values_left_ = 0;
    std::vector<datum> stack_;
    std::vector<std::string_view> names_;
    std::vector<std::string_view> sorted_;
    std::string partial_;
    std::optional<json_error> failure_;
};

} // namespace

struct json_parser::impl {
    explicit impl(json_limits given) : limits(given), parser(options(given)) {}

    static boost::json::parse_options options(const json_limits& limits) {
        boost::json::parse_options made;
        made.max_depth = limits.max_depth;
        return made;
    }

    json_limits limits;
    boost::json::basic_parser<tree_builder> parser;
};

json_parser::json_parser(json_limits limits) : impl_(std::make_unique<impl>(limits)) {}
json_parser::~json_parser() = default;
json_parser::json_parser(json_parser&&) noexcept = default;
json_parser& json_parser::operator=(json_parser&&) noexcept = default;

std::optional<json_error> json_parser::parse(std::string_view text, arena& memory, datum& into) {
    auto& parser = impl_->parser;
    auto& builder = parser.handler();
    parser.reset();
    builder.start(text, memory, impl_->limits.max_values);
    boost::json::error_code ec;
    const auto read = parser.write_some(false, text.data(), text.size(), ec);
    if (ec) {
        if (builder.failure()) {
            auto failure = *builder.failure();
            failure.offset = read;
            return failure;
        }
        if (ec == boost::json::error::too_deep) {
            return json_error{json_error::reason::too_deep, "nested too deeply", read};
        }
        return json_error{json_error::reason::syntax, "not valid JSON", read};
    }
    if (text.find_first_not_of(" \t\r\n", read) != std::string_view::npos) {
        return json_error{json_error::reason::syntax, "text after the JSON value", read};
    }
    into = builder.root();
    return std::nullopt;
}

std::optional<json_error> parse_json(std::string_view text, arena& memory, datum& into) {
    json_parser parser;
    return parser.parse(text, memory, into);
}

namespace {

/// 0: copied as it is; 1: \u00XX; else the character after the backslash.
constexpr std::array<char, 256> make_escapes() {
    std::array<char, 256> table{};
    for (std::size_t i = 0; i < 0x20; ++i) {
        table[i] = 1;
    }
    table['"'] = '"';
    table['\\'] = '\\';
    table['\b'] = 'b';
    table['\f'] = 'f';
    table['\n'] = 'n';
    table['\r'] = 'r';
    table['\t'] = 't';
    for (std::size_t i = 0x80; i < 0x100; ++i) {
        table[i] = 2; // a byte of a longer UTF-8 sequence, to be checked
    }
    return table;
}
constexpr auto escapes = make_escapes();

/// Length of the valid UTF-8 sequence at the start of `text`, 0 when it is not valid.
std::size_t utf8_sequence(std::string_view text) {
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
    const auto tail = [&](std::size_t i) { return i < text.size() && (byte(i) & 0xC0U) == 0x80U; };
    const unsigned lead = byte(0);
    if (lead >= 0xC2 && lead <= 0xDF) {
        return tail(1) ? 2 : 0;
    }
    if (lead >= 0xE0 && lead <= 0xEF) {
        if (!tail(1) || !tail(2) || (lead == 0xE0 && byte(1) < 0xA0) ||
            (lead == 0xED && byte(1) > 0x9F)) {
            return 0;
        }
        return 3;
    }
    if (lead >= 0xF0 && lead <= 0xF4) {
        if (!tail(1) || !tail(2) || !tail(3) || (lead == 0xF0 && byte(1) < 0x90) ||
            (lead == 0xF4 && byte(1) > 0x8F)) {
            return 0;
        }
        return 4;
    }
    return 0;
}

template <class Integer>
void append_integer(std::string& out, Integer number) {
    char digits[24];
    const auto end = std::to_chars(digits, digits + sizeof digits, number).ptr;
    out.append(digits, end);
}

} // namespace

namespace {

/// Length of what at the start of `text` is copied as it is: ASCII without quotes, backslashes and
/// control characters; eight bytes at a time.
std::size_t plain_length(std::string_view text) {
    constexpr std::uint64_t ones = 0x0101'0101'0101'0101;
    constexpr std::uint64_t high = 0x80 * ones;
    const auto any_zero = [](std::uint64_t word) { return (word - ones) & ~word; };
    std::size_t i = 0;
    for (std::uint64_t word = 0; i + sizeof word <= text.size(); i += sizeof word) {
        std::memcpy(&word, text.data() + i, sizeof word);
        const auto special = any_zero(word ^ (ones * '"')) | any_zero(word ^ (ones * '\\')) |
                             ((word - 0x20 * ones) & ~word) | word;
        if ((special & high) != 0) {
            break; // one of these eight, perhaps: a borrow can make it look so
        }
    }
    while (i < text.size() && escapes[static_cast<unsigned char>(text[i])] == 0) {
        ++i;
    }
    return i;
}

} // namespace

bool is_utf8(std::string_view text) {
    while (!text.empty()) {
        const bool ascii = static_cast<unsigned char>(text.front()) < 0x80;
        const std::size_t length = ascii ? 1 : utf8_sequence(text);
        if (length == 0) {
            return false;
        }
        text.remove_prefix(length);
    }
    return true;
}

void append_json_string(std::string& out, std::string_view text) {
    out.push_back('"');
    std::size_t from = 0;
    for (std::size_t i = plain_length(text); i < text.size();) {
        const char escape = escapes[static_cast<unsigned char>(text[i])];
        if (escape == 0) {
            ++i;
            continue;
        }
        if (escape == 2) {
            if (const auto length = utf8_sequence(text.substr(i)); length != 0) {
                i += length;
                continue;
            }
        }
        out.append(text.substr(from, i - from));
        if (escape == 2) {
            out.append("\xEF\xBF\xBD");
        } else if (escape == 1) {
            constexpr std::string_view hex = "0123456789abcdef";
            const auto byte = static_cast<unsigned char>(text[i]);
            out.append("\\u00");
            out.push_back(hex[byte >> 4U]);
            out.push_back(hex[byte & 0x0FU]);
        } else {
            out.push_back('\\');
            out.push_back(escape);
        }
        from = ++i;
    }
    out.append(text.substr(from));
    out.push_back('"');
}

void append_json(std::string& out, const datum& from) {
    switch (from.type) {
    case datum::kind::null:
        out.append("null");
        return;
    case datum::kind::boolean:
        out.append(from.boolean ? "true" : "false");
        return;
    case datum::kind::integer:
        append_integer(out, from.integer);
        return;
    case datum::kind::unsigned_integer:
        append_integer(out, from.unsigned_integer);
        return;
    case datum::kind::number:
        out.append(from.text);
        return;
    case datum::kind::string:
        append_json_string(out, from.text);
        return;
    case datum::kind::array: {
        char separator = '[';
        for (const auto& item : from.items()) {
            out.push_back(separator);
            append_json(out, item);
            separator = ',';
        }
        out.append(separator == '[' ? "[]" : "]");
        return;
    }
    case datum::kind::object: {
        char separator = '{';
        for (const auto& m : from.members()) {
            out.push_back(separator);
            append_json_string(out, m.name);
            out.push_back(':');
            append_json(out, m.value);
            separator = ',';
        }
        out.append(separator == '{' ? "{}" : "}");
        return;
    }
    }
}

void append_base64(std::string& out, std::string_view bytes) {
    constexpr std::string_view alphabet =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const auto at = [&](std::size_t i) -> unsigned {
        return i < bytes.size() ? static_cast<unsigned char>(bytes[i]) : 0U;
    };
    for (std::size_t i = 0; i < bytes.size(); i += 3) {
        const unsigned group = (at(i) << 16U) | (at(i + 1) << 8U) | at(i + 2);
        out.push_back(alphabet[(group >> 18U) & 63U]);
        out.push_back(alphabet[(group >> 12U) & 63U]);
        out.push_back(i + 1 < bytes.size() ? alphabet[(group >> 6U) & 63U] : '=');
        out.push_back(i + 2 < bytes.size() ? alphabet[group & 63U] : '=');
    }
}

std::optional<std::string_view> decode_base64(std::string_view text, arena& memory) {
    if (text.size() % 4 != 0) {
        return std::nullopt;
    }
    const auto out = memory.make_span<char>(text.size() / 4 * 3);
    std::size_t written = 0;
    for (std::size_t i = 0; i < text.size(); i += 4) {
        unsigned group = 0;
        std::size_t padding = 0;
        for (std::size_t k = 0; k < 4; ++k) {
            const char c = text[i + k];
            unsigned bits = 0;
            if (c >= 'A' && c <= 'Z') {
                bits = static_cast<unsigned>(c - 'A');
            } else if (c >= 'a' && c <= 'z') {
                bits = static_cast<unsigned>(c - 'a') + 26;
            } else if (c >= '0' && c <= '9') {
                bits = static_cast<unsigned>(c - '0') + 52;
            } else if (c == '+') {
                bits = 62;
            } else if (c == '/') {
                bits = 63;
            } else if (c == '=' && i + 4 == text.size() && k >= 2) {
                ++padding;
                group <<= 6U;
                continue;
            } else {
                return std::nullopt;
            }
            if (padding != 0) {
                return std::nullopt; // a digit after the padding
            }
            group = (group << 6U) | bits;
        }
        // Bits that the padding cuts off must be zero: one value has one text.
        if ((padding == 1 && (group & 0xC0U) != 0) || (padding == 2 && (group & 0xF000U) != 0)) {
            return std::nullopt;
        }
        out[written++] = static_cast<char>((group >> 16U) & 0xFFU);
        if (padding < 2) {
            out[written++] = static_cast<char>((group >> 8U) & 0xFFU);
        }
        if (padding < 1) {
            out[written++] = static_cast<char>(group & 0xFFU);
        }
    }
    return std::string_view{out.data(), written};
}

} // namespace beds::core
