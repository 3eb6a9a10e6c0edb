#pragma once

#include <beds/core/arena.hpp>
#include <beds/core/data.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace beds::client {

/// A value that a caller sends: what JSON can say, exact. Owns its content.
///
/// `value{"MX"}`, `value{42}`, `value::object({{"from", 1}, {"amount", "10.00"}})`. Decimals are
/// sent as strings, or as numbers by `value::number("10.00")`.
class value {
public:
    using member = std::pair<std::string, value>;

    value() = default; ///< null
    value(std::nullptr_t) {}
    value(bool given) : content_(given) {}
    template <std::signed_integral Integer>
    value(Integer given) : content_(static_cast<std::int64_t>(given)) {}
    template <std::unsigned_integral Integer>
    requires(!std::same_as<Integer, bool>) value(Integer given)
        : content_(static_cast<std::uint64_t>(given)) {}
    value(double given); ///< finite; throws core::error(invalid_configuration) otherwise
    value(std::string given) : content_(std::move(given)) {}
    value(std::string_view given) : content_(std::string{given}) {}
    value(const char* given) : content_(std::string{given}) {}

    static value array(std::vector<value> items);
    static value object(std::vector<member> members);
    /// A number by its JSON token. Throws core::error when the text is no JSON number.
    static value number(std::string token);
    /// From JSON text. Throws core::error when it is none.
    static value from_json(std::string_view text);

    /// The untyped view that the wire and the factory work with. Views into this value and
    /// `memory`.
    [[nodiscard]] core::datum view(core::arena& memory) const;

private:
    struct number_token {
        std::string text;
    };
    std::variant<std::nullptr_t, bool, std::int64_t, std::uint64_t, std::string, number_token,
                 std::vector<value>, std::vector<member>>
        content_ = nullptr;
};

/// Members of an object, for arguments such as `{{"scope", "I"}}`.
using members = std::vector<value::member>;

} // namespace beds::client
