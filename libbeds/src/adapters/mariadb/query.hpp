#pragma once

#include <beds/core/value.hpp>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace beds::adapters::mariadb {

/// How a value travels when its type alone does not say it.
enum class encoding : std::uint8_t {
    standard,
    uuid_bytes, ///< a UUID as the 16 bytes of a BINARY(16) column
};

struct parameter {
    core::value value;
    encoding how = encoding::standard;
};

/// The text of one statement and the values of its `?`, made side by side so that they cannot get
/// out of step. Values are views. Reused from statement to statement without allocating.
class query {
public:
    void clear() {
        text_.clear();
        parameters_.clear();
    }

    query& text(std::string_view part) {
        text_ += part;
        return *this;
    }
    /// A name in backticks.
    query& name(std::string_view identifier);
    /// The name of a table, view or procedure: `name` or `schema.name`.
    query& object(std::string_view qualified);
    query& bind(const core::value& value, encoding how = encoding::standard) {
        text_ += '?';
        parameters_.push_back({value, how});
        return *this;
    }
    /// A value whose `?` stands in the text already.
    query& value_only(const core::value& value, encoding how = encoding::standard) {
        parameters_.push_back({value, how});
        return *this;
    }
    /// `/* beds NAME.OP */ `, so that a DBA sees who asks.
    query& comment(std::string_view template_name, std::string_view op);

    [[nodiscard]] std::string_view text() const { return text_; }
    [[nodiscard]] std::span<const parameter> parameters() const { return parameters_; }

private:
    std::string text_;
    std::vector<parameter> parameters_;
};

/// How many rows or keys one grouped statement takes at most.
inline constexpr std::size_t most_in_one_statement = 256;

/// The least power of two that is not below `count`; `count` is 1 to `most_in_one_statement`.
std::size_t padded_size(std::size_t count);

/// The size of the next statement when `left` rows remain and none can be padded: the largest of a
/// short list of sizes, so that few statements and few kinds of statements do.
std::size_t unpadded_size(std::size_t left);

} // namespace beds::adapters::mariadb
