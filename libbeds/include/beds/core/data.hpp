#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace beds::core {

struct member;

/// One untyped value of a request, as JSON has them: what came from the wire or what an in-process
/// caller gave, before a template says what it must be. A view: its strings and children live in
/// the message and in the batch's arena.
///
/// Numbers are exact. A number that is written without fraction and exponent and fits is `integer`
/// (int64) or `unsigned_integer` (only above int64's maximum); every other one is `number` with its
/// token in `text` and no conversion done. From the wire, integers carry their token in `text` too.
struct datum {
    enum class kind : std::uint8_t {
        null,
        boolean,
        integer,
        unsigned_integer,
        number,
        string,
        array,
        object
    };

    kind type = kind::null;
    bool boolean = false;
    std::uint32_t count = 0; ///< of an array's items or an object's members
    union {
        std::int64_t integer = 0;
        std::uint64_t unsigned_integer;
        const datum* first_item;
        const member* first_member;
    };
    std::string_view text{}; ///< string: unescaped UTF-8; numbers: the token

    [[nodiscard]] bool is(kind wanted) const { return type == wanted; }
    [[nodiscard]] std::span<const datum> items() const {
        return type == kind::array ? std::span<const datum>{first_item, count}
                                   : std::span<const datum>{};
    }
    [[nodiscard]] std::span<const member> members() const;
    /// The member of that name, or null. Names are unique: the codec refuses duplicates.
    [[nodiscard]] const datum* find(std::string_view name) const;

    static datum of_null() { return {}; }
    static datum of(bool value);
    static datum of(std::int64_t value);
    static datum of(std::uint64_t value);
    static datum of(std::string_view value);
    static datum of(const char* value) { return of(std::string_view{value}); }
    /// From a number as JSON writes it, which decides the kind. Throws `std::invalid_argument` when
    /// it is none. The token is kept as a view.
    static datum of_number(std::string_view token);
    static datum of(std::span<const datum> items);
    static datum of(std::span<const member> members);
};

struct member {
    std::string_view name{};
    datum value{};
};

/// "string", "number", "true or false", … for messages to people.
std::string_view describe(datum::kind kind);

/// 128 bits over the content of a value; the order of an object's members does not matter. Tells
/// whether an operation id is used again with other content. Not cryptographic.
struct content_hash {
    std::uint64_t high = 0;
    std::uint64_t low = 0;
    friend bool operator==(const content_hash&, const content_hash&) = default;
};
/// Recurses as deep as the value is nested. An integer has one hash, with its token or without; any
/// other number is hashed by its token, so that `1.5` and `1.50` differ. The content of a string
/// value and a plain text hash differently.
content_hash hash(const datum& value);
content_hash hash(std::string_view text);
/// Folds `next` into `sum`; order matters.
content_hash combine(content_hash sum, content_hash next);

inline std::span<const member> datum::members() const {
    return type == kind::object ? std::span<const member>{first_member, count}
                                : std::span<const member>{};
}

} // namespace beds::core
