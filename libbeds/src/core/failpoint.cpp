#include "core/failpoint.hpp"

#include "core/failpoint_table.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <stdexcept>
#include <thread>
#include <utility>

namespace beds::core::failpoint {
namespace {

constexpr std::array points{
    std::string_view{"after_deliver"},   std::string_view{"after_validate"},
    std::string_view{"db_begin"},        std::string_view{"effect_done"},
    std::string_view{"inbox_written"},   std::string_view{"before_commit"},
    std::string_view{"after_commit"},    std::string_view{"reply_published"},
    std::string_view{"reply_confirmed"}, std::string_view{"before_ack"},
    std::string_view{"after_ack"},
};

constexpr std::array codes{
    std::pair{std::string_view{"unreachable"}, errc::unreachable},
    std::pair{std::string_view{"refused"}, errc::refused},
    std::pair{std::string_view{"deadline_exceeded"}, errc::deadline_exceeded},
    std::pair{std::string_view{"outcome_unknown"}, errc::outcome_unknown},
    std::pair{std::string_view{"protocol"}, errc::protocol},
    std::pair{std::string_view{"internal"}, errc::internal},
};

[[noreturn]] void refuse(std::string_view part) {
    throw error(errc::invalid_configuration,
                "BEDS_FAILPOINTS: '" + std::string{part} + "' is not understood");
}

std::uint64_t number(std::string_view text, std::string_view part) {
    std::uint64_t made = 0;
    const auto end = text.data() + text.size();
    const auto read = std::from_chars(text.data(), end, made);
    if (text.empty() || read.ec != std::errc{} || read.ptr != end) {
        refuse(part);
    }
    return made;
}

/// The next part of the text up to `separator`, which is taken off.
std::string_view cut(std::string_view& text, char separator) {
    const auto at = text.find(separator);
    const auto part = text.substr(0, at);
    text = at == std::string_view::npos ? std::string_view{} : text.substr(at + 1);
    return part;
}

std::optional<order> action_of(std::string_view word, std::string_view value,
                               std::string_view part) {
    if (word == "sleep") {
        return order{.what = action::sleep,
                     .pause = std::chrono::milliseconds{number(value, part)}};
    }
    if (word == "error") {
        const auto* const found = std::find_if(
            codes.begin(), codes.end(), [&](const auto& each) { return each.first == value; });
        return found == codes.end()
                   ? std::nullopt
                   : std::optional{order{.what = action::error, .code = found->second}};
    }
    for (const auto& [name, what] : {std::pair{std::string_view{"kill"}, action::kill},
                                     std::pair{std::string_view{"abort"}, action::abort},
                                     std::pair{std::string_view{"stop"}, action::stop},
                                     std::pair{std::string_view{"throw"}, action::defect}}) {
        if (part == name) {
            return order{.what = what};
        }
    }
    return std::nullopt;
}

/// A program that a test meant to fail must not run as if nothing were.
table& given() {
    static table made = [] {
        const char* const text = std::getenv("BEDS_FAILPOINTS");
        try {
            return table{text == nullptr ? std::string_view{} : std::string_view{text}};
        } catch (const error& wrong) {
            std::fprintf(stderr, "%s\n", wrong.message().c_str());
            std::_Exit(2);
        }
    }();
    return made;
}

} // namespace

table::table(std::string_view text) {
    while (!text.empty()) {
        entries_.push_back(parse(cut(text, ',')));
    }
}

table::entry table::parse(std::string_view text) {
    const auto whole = text;
    entry made;
    made.name = cut(text, ':');
    if (std::find(points.begin(), points.end(), made.name) == points.end()) {
        refuse(whole);
    }
    std::optional<order> does;
    while (!text.empty()) {
        const auto part = cut(text, ':');
        auto value = part;
        const auto word = cut(value, '=');
        if (word == "hit") {
            made.only = number(value, whole);
        } else if (word == "if_message_id" && !value.empty()) {
            made.message_id = value;
        } else if (!does) {
            does = action_of(word, value, part);
            if (!does) {
                refuse(whole);
            }
        } else {
            refuse(whole);
        }
    }
    if (!does) {
        refuse(whole);
    }
    made.does = *does;
    return made;
}

std::vector<order> table::meet(std::string_view name, std::string_view message_id) {
    std::vector<order> found;
    const std::lock_guard lock{mutex_};
    for (auto& each : entries_) {
        if (each.name != name || (!each.message_id.empty() && each.message_id != message_id)) {
            continue;
        }
        ++each.met;
        if (each.only == 0 || each.only == each.met) {
            found.push_back(each.does);
        }
    }
    return found;
}

const bool armed = !given().empty();

void hit(std::string_view name, std::string_view message_id) {
    for (const auto& each : given().meet(name, message_id)) {
        switch (each.what) {
        case action::kill:
            std::raise(SIGKILL);
            break;
        case action::abort:
            std::abort();
        case action::stop:
            std::raise(SIGSTOP); // of this thread; the signal stops the whole process
            break;
        case action::sleep:
            std::this_thread::sleep_for(each.pause);
            break;
        case action::defect:
            throw std::runtime_error{"the fail point " + std::string{name}};
        case action::error:
            throw error(each.code, "the fail point " + std::string{name},
                        {.handle = handle_state::broken});
        }
    }
}

} // namespace beds::core::failpoint
