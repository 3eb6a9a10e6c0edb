#pragma once

#include <compare>
#include <string>
#include <string_view>
#include <utility>

namespace beds::core {

/// A string that names one kind of thing, so that a queue cannot be passed where an exchange is
/// meant. `Tag` is any type and only tells the kinds apart; the value is kept as it was given.
template <class Tag>
class name {
public:
    name() = default;
    explicit name(std::string value) : value_(std::move(value)) {}
    explicit name(std::string_view value) : value_(value) {}
    explicit name(const char* value) : value_(value) {}

    [[nodiscard]] const std::string& str() const { return value_; }
    [[nodiscard]] bool empty() const { return value_.empty(); }

    friend bool operator==(const name&, const name&) = default;
    friend auto operator<=>(const name&, const name&) = default;

private:
    std::string value_;
};

} // namespace beds::core
