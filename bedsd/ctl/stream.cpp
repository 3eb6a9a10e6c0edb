#include "stream.hpp"

#include "print.hpp"

#include <beds/core/error.hpp>
#include <beds/wire/reply.hpp>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <istream>
#include <memory>
#include <mutex>
#include <optional>
#include <ostream>
#include <string>
#include <thread>

namespace bedsctl {
namespace {

using beds::client::reply;
using beds::client::request;
using beds::core::code;
using beds::core::outcome;

/// Replies come in any order and are taken out in the order of their places.
class ordered_replies {
public:
    using place = std::shared_ptr<std::optional<reply>>;

    place add(std::size_t window) {
        auto made = std::make_shared<std::optional<reply>>();
        std::unique_lock lock{mutex_};
        changed_.wait(lock, [&] { return places_.size() < window; });
        places_.push_back(made);
        return made;
    }
    void fill(const place& which, reply got) {
        const std::lock_guard lock{mutex_};
        which->emplace(std::move(got));
        changed_.notify_all();
    }
    void close() {
        const std::lock_guard lock{mutex_};
        closed_ = true;
        changed_.notify_all();
    }
    /// Null: closed, and all were taken.
    place take() {
        std::unique_lock lock{mutex_};
        changed_.wait(lock,
                      [&] { return places_.empty() ? closed_ : places_.front()->has_value(); });
        if (places_.empty()) {
            return nullptr;
        }
        auto taken = std::move(places_.front());
        places_.pop_front();
        changed_.notify_all();
        return taken;
    }
    [[nodiscard]] bool idle() {
        const std::lock_guard lock{mutex_};
        return places_.empty() || !places_.front()->has_value();
    }

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<place> places_;
    bool closed_ = false;
};

reply refuse(std::size_t line, const beds::core::error& why) {
    const auto detail = "line " + std::to_string(line) + ": " + why.message();
    const auto as = why.code() == beds::core::errc::unsupported      ? code::unsupported
                    : why.code() == beds::core::errc::limit_exceeded ? code::limit_exceeded
                                                                     : code::invalid_envelope;
    std::string body;
    beds::wire::append_refusal(body, {}, outcome::failure(as, detail));
    return {std::move(body), {}};
}

} // namespace

exit_code run_stream(beds::client::client& through, std::istream& in, std::ostream& out,
                     stream_limits limits) {
    // Shared with the completions, which may still be on their way out when the last reply was
    // written.
    const auto replies = std::make_shared<ordered_replies>();
    auto worst = exit_code::ok;
    in.tie(nullptr); // reading must not flush what the writer is writing
    std::thread writer{[&] {
        while (const auto taken = replies->take()) {
            const reply& got = **taken;
            worst = std::max(worst, exit_code_of(got));
            out << got.json() << '\n';
            if (replies->idle()) {
                out.flush();
            }
        }
    }};
    std::string text;
    for (std::size_t line = 1; std::getline(in, text); ++line) {
        if (text.find_first_not_of(" \t\r") == std::string::npos) {
            continue;
        }
        const auto place = replies->add(limits.window);
        try {
            through.submit(request::from_json(text), beds::core::deadline::after(limits.timeout),
                           [replies, place](reply got) { replies->fill(place, std::move(got)); });
        } catch (const beds::core::error& wrong) {
            replies->fill(place, refuse(line, wrong));
        }
    }
    replies->close();
    writer.join();
    out.flush();
    return out ? worst : exit_code::unknown;
}

} // namespace bedsctl
