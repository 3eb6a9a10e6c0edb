#pragma once

#include <iosfwd>
#include <string>
#include <string_view>

namespace beds::core {

/// A password or key. It prints as `***` wherever it is streamed, has no implicit conversion to a
/// string, and its memory is overwritten when it dies. `reveal()` is the one way to the text.
class secret {
public:
    secret() = default;
    explicit secret(std::string text);
    secret(const secret&) = default;
    secret& operator=(const secret& other);
    secret(secret&& other) noexcept;
    secret& operator=(secret&& other) noexcept;
    ~secret();

    /// The text itself, for the one call that hands it to a server. Do not keep or print it.
    [[nodiscard]] const std::string& reveal() const { return text_; }
    [[nodiscard]] bool empty() const { return text_.empty(); }

    friend bool operator==(const secret&, const secret&) = default;
    friend std::ostream& operator<<(std::ostream& out, const secret& value);

private:
    void wipe() noexcept;
    std::string text_;
};

/// What every secret looks like in text.
inline constexpr std::string_view redacted = "***";

} // namespace beds::core
