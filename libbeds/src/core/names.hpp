#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string_view>

namespace beds::core {

/// The names of an enumeration whose values count from 0, in the order of the values.
template <class Enum, std::size_t Count>
class enum_names {
public:
    constexpr explicit enum_names(const std::array<std::string_view, Count>& names)
        : names_(names) {}

    [[nodiscard]] constexpr std::string_view name(Enum value) const {
        const auto at = static_cast<std::size_t>(value);
        return at < Count ? names_[at] : std::string_view{"?"};
    }
    [[nodiscard]] constexpr std::optional<Enum> parse(std::string_view text) const {
        for (std::size_t i = 0; i < Count; ++i) {
            if (names_[i] == text) {
                return static_cast<Enum>(i);
            }
        }
        return std::nullopt;
    }

private:
    std::array<std::string_view, Count> names_;
};

template <class Enum, class... Names>
constexpr auto make_enum_names(Names... names) {
    return enum_names<Enum, sizeof...(Names)>{
        std::array<std::string_view, sizeof...(Names)>{std::string_view{names}...}};
}

} // namespace beds::core
