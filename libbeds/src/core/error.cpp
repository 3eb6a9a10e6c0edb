#include <beds/core/error.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <utility>

namespace beds::core {
namespace {

class category final : public std::error_category {
public:
    [[nodiscard]] const char* name() const noexcept override { return "beds"; }
    [[nodiscard]] std::string message(int value) const override {
        switch (static_cast<errc>(value)) {
        case errc::invalid_configuration:
            return "invalid configuration";
        case errc::invalid_template:
            return "invalid template";
        case errc::unknown_name:
            return "unknown name";
        case errc::duplicate_name:
            return "duplicate name";
        case errc::unreachable:
            return "server not reachable";
        case errc::refused:
            return "refused by the server";
        case errc::topology_conflict:
            return "topology conflict";
        case errc::deadline_exceeded:
            return "deadline exceeded";
        case errc::outcome_unknown:
            return "outcome unknown";
        case errc::unsupported:
            return "not supported";
        case errc::cancelled:
            return "cancelled";
        case errc::protocol:
            return "protocol violation";
        case errc::limit_exceeded:
            return "too large";
        case errc::internal:
            return "internal error";
        }
        return "error " + std::to_string(value);
    }
};

// Longer names are not compared: the work per name stays small whatever a client sends.
constexpr std::size_t longest_compared = 64;

char folded(char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

/// Edits (insert, delete, replace, swap of neighbours) between two names, upper and lower case the
/// same.
std::size_t distance(std::string_view left, std::string_view right) {
    std::array<std::array<std::size_t, longest_compared + 1>, 3> rows{};
    auto* before = &rows[0];
    auto* last = &rows[1];
    auto* current = &rows[2];
    for (std::size_t j = 0; j <= right.size(); ++j) {
        (*last)[j] = j;
    }
    for (std::size_t i = 1; i <= left.size(); ++i) {
        (*current)[0] = i;
        const char a = folded(left[i - 1]);
        for (std::size_t j = 1; j <= right.size(); ++j) {
            const char b = folded(right[j - 1]);
            std::size_t best = (*last)[j - 1] + (a == b ? 0U : 1U);
            best = std::min({best, (*last)[j] + 1, (*current)[j - 1] + 1});
            if (i > 1 && j > 1 && a == folded(right[j - 2]) && b == folded(left[i - 2])) {
                best = std::min(best, (*before)[j - 2] + 1);
            }
            (*current)[j] = best;
        }
        auto* const reused = before;
        before = last;
        last = current;
        current = reused;
    }
    return (*last)[right.size()];
}

} // namespace

const std::error_category& beds_category() {
    static const category the_category;
    return the_category;
}

std::error_code make_error_code(errc code) {
    return {static_cast<int>(code), beds_category()};
}

error::error(errc code, const std::string& message, error_context context)
    : std::system_error(make_error_code(code), message), context_(std::move(context)),
      message_(message) {}

std::string did_you_mean(std::string_view given, const std::string* known, std::size_t count) {
    if (given.empty() || given.size() > longest_compared) {
        return {};
    }
    constexpr std::size_t short_name = 4;
    const std::size_t allowed = given.size() <= short_name ? 1 : 2;
    const std::string* best = nullptr;
    std::size_t best_distance = allowed + 1;
    for (const std::string* candidate = known; candidate != known + count; ++candidate) {
        const std::size_t length = candidate->size();
        if (length > longest_compared || length > given.size() + allowed ||
            given.size() > length + allowed) {
            continue;
        }
        const std::size_t edits = distance(given, *candidate);
        // A name of one letter is close to every other one of one letter.
        if (edits < best_distance && edits < std::max(length, given.size())) {
            best = candidate;
            best_distance = edits;
        }
    }
    return best == nullptr ? std::string{} : "; did you mean '" + *best + "'?";
}

} // namespace beds::core
