#include "brokers/parts.hpp"

#include <algorithm>
#include <charconv>
#include <optional>

namespace beds::brokers {

namespace {

constexpr std::size_t longest_told = 8 * 1024;

bool same_fate(const core::outcome& left, const core::outcome& right) {
    return left.code == right.code && left.effect == right.effect;
}

std::string_view take_until(std::string_view& text, std::string_view mark) {
    const auto at = std::min(text.find(mark), text.size());
    const auto taken = text.substr(0, at);
    text.remove_prefix(std::min(at + mark.size(), text.size()));
    return taken;
}

std::optional<std::size_t> number_of(std::string_view text) {
    std::size_t number = 0;
    const auto* const end = text.data() + text.size();
    const auto parsed = std::from_chars(text.data(), end, number);
    return parsed.ec == std::errc{} && parsed.ptr == end ? std::optional{number} : std::nullopt;
}

} // namespace

std::string tell_parts(std::span<const core::outcome> results) {
    std::string told;
    if (results.size() < 2) {
        return told;
    }
    for (std::size_t first = 0; first < results.size(); ++first) {
        const auto& one = results[first];
        const auto before = results.first(first);
        if (std::any_of(before.begin(), before.end(),
                        [&](const auto& other) { return same_fate(one, other); })) {
            continue;
        }
        told.append(told.empty() ? "" : "; ")
            .append(one.code == core::code::ok ? "OK" : to_string(one.code))
            .append(" ")
            .append(to_string(one.effect));
        char glue = ' ';
        for (std::size_t i = first; i < results.size();) {
            if (!same_fate(one, results[i])) {
                ++i;
                continue;
            }
            std::size_t end = i + 1;
            while (end < results.size() && same_fate(one, results[end])) {
                ++end;
            }
            told.append(1, glue).append(std::to_string(i));
            if (end > i + 1) {
                told.append("-").append(std::to_string(end - 1));
            }
            glue = ',';
            i = end;
        }
        if (told.size() > longest_told) {
            return {};
        }
    }
    return told;
}

std::vector<part> read_parts(std::string_view told, std::size_t operations) {
    std::vector<part> made(operations);
    std::size_t known = 0;
    while (!told.empty()) {
        auto group = take_until(told, "; ");
        const auto code = take_until(group, " ");
        const auto effect = take_until(group, " ");
        if (code.empty() || effect.empty()) {
            return {};
        }
        while (!group.empty()) {
            auto range = take_until(group, ",");
            const auto first = number_of(take_until(range, "-"));
            const auto last = range.empty() ? first : number_of(range);
            if (!first || !last || *first > *last || *last >= operations) {
                return {};
            }
            for (auto i = *first; i <= *last; ++i) {
                if (!made[i].code.empty()) {
                    return {};
                }
                made[i] = {code, effect};
                ++known;
            }
        }
    }
    return known == operations ? made : std::vector<part>{};
}

} // namespace beds::brokers
