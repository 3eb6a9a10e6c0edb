#pragma once

#include <beds/core/arena.hpp>
#include <beds/core/data.hpp>

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace beds::core {

/// Why a text is not JSON that BEDS takes.
struct json_error {
    enum class reason { syntax, too_deep, duplicate_member, too_many_values };
    json_error::reason why = json_error::reason::syntax;
    std::string_view what{}; ///< for people; static, never echoes the text
    std::size_t offset = 0;  ///< bytes from the start
};

struct json_limits {
    std::size_t max_depth = 100;              ///< of nested arrays and objects
    std::size_t max_values = 4 * 1024 * 1024; ///< values in one text, members included
};

/// Reads JSON (RFC 8259, UTF-8 checked, nothing more: no comments, no NaN, no trailing commas) into
/// untyped values. Strings without escapes are views into the text; numbers stay exact (data.hpp).
/// Duplicate member names are refused. Keeps its working memory: reuse one parser per thread.
class json_parser {
public:
    explicit json_parser(json_limits limits = {});
    ~json_parser();
    json_parser(json_parser&&) noexcept;
    json_parser& operator=(json_parser&&) noexcept;

    /// `text` and `memory` must outlive the value.
    std::optional<json_error> parse(std::string_view text, arena& memory, datum& into);

private:
    struct impl;
    std::unique_ptr<impl> impl_;
};

/// For occasional use.
std::optional<json_error> parse_json(std::string_view text, arena& memory, datum& into);

/// Appends the value as compact JSON. Integers and numbers come out as they came in.
void append_json(std::string& out, const datum& from);
/// Appends `text` quoted and escaped; bytes that are not UTF-8 become U+FFFD.
void append_json_string(std::string& out, std::string_view text);

/// Is all of it UTF-8 (RFC 3629: no surrogates, nothing longer than needed)?
bool is_utf8(std::string_view text);

/// Base64 (RFC 4648, `+/`, padded).
void append_base64(std::string& out, std::string_view bytes);
std::optional<std::string_view> decode_base64(std::string_view text, arena& memory);

} // namespace beds::core
