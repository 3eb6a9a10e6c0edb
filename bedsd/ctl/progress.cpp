#include "progress.hpp"

#include <array>
#include <cstdio>
#include <ostream>

namespace bedsctl {
namespace {

using namespace std::chrono_literals;

constexpr auto each_line = 10s;
constexpr auto each_look = 500ms;

} // namespace

std::string with_commas(std::uint64_t number) {
    auto text = std::to_string(number);
    for (auto at = static_cast<std::ptrdiff_t>(text.size()) - 3; at > 0; at -= 3) {
        text.insert(static_cast<std::size_t>(at), ",");
    }
    return text;
}

progress::progress(std::ostream& out, manner how, clock::time_point begin)
    : out_(out), how_(how), begin_(begin),
      next_(begin_ + (how == manner::terminal ? std::chrono::milliseconds{each_look}
                                              : std::chrono::milliseconds{each_line})) {}

std::chrono::duration<double> progress::elapsed() const {
    return clock::now() - begin_;
}

void progress::show(const counts& now, clock::time_point time) {
    if (how_ == manner::quiet) {
        return;
    }
    if (now.part && !first_part_) {
        first_part_ = now.part; // where a resumed one began
    }
    if (time < next_) {
        return;
    }
    const bool over = how_ == manner::terminal;
    next_ =
        time + (over ? std::chrono::milliseconds{each_look} : std::chrono::milliseconds{each_line});
    const auto seconds = std::chrono::duration<double>{time - begin_}.count();
    auto text = with_commas(now.rows) + " rows, " +
                with_commas(static_cast<std::uint64_t>(static_cast<double>(now.rows) / seconds)) +
                "/s";
    if (now.part) {
        text += ", " + std::to_string(static_cast<int>(*now.part * 100)) + " %";
    }
    if (now.rejected != 0) {
        text += ", " + with_commas(now.rejected) + " rejected";
    }
    if (now.part && *now.part > *first_part_) {
        const auto left =
            static_cast<std::uint64_t>(seconds * (1 - *now.part) / (*now.part - *first_part_));
        std::array<char, 48> eta{};
        std::snprintf(eta.data(), eta.size(), ", %llu:%02llu:%02llu left",
                      static_cast<unsigned long long>(left / 3600),
                      static_cast<unsigned long long>(left / 60 % 60),
                      static_cast<unsigned long long>(left % 60));
        text += eta.data();
    }
    if (over) {
        out_ << '\r' << text << "\x1b[K" << std::flush;
        line_open_ = true;
    } else {
        out_ << text << std::endl;
    }
}

void progress::end() {
    if (line_open_) {
        out_ << '\n';
        line_open_ = false;
    }
}

} // namespace bedsctl
