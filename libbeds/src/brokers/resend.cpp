#include "brokers/resend.hpp"

#include <beds/core/value.hpp>

#include <algorithm>
#include <limits>
#include <utility>

namespace beds::brokers {

namespace {

constexpr std::string_view principal_header = "beds-principal";
constexpr std::string_view routing_key_header = "beds-routing-key";
constexpr std::string_view queue_header = "beds-queue";
constexpr std::string_view attempts_header = "beds-attempts";
constexpr std::string_view history_header = "beds-history";
constexpr std::string_view deadline_header = "beds-deadline";
constexpr std::size_t longest_history = 1024;

/// Written anew by every node, or RabbitMQ's own about a queue that the message has left.
bool is_replaced(std::string_view name) {
    return name == principal_header || name == routing_key_header || name == queue_header ||
           name == attempts_header || name == history_header || name == "x-death" ||
           name == "x-delivery-count" || name.starts_with("x-first-death-") ||
           name.starts_with("beds-error-");
}

} // namespace

origin origin_of(const amqp::delivery& from, std::string_view own_user) {
    const auto& properties = from.properties();
    origin made;
    made.principal = properties.user_id.empty() ? "anonymous" : properties.user_id;
    made.routing_key = from.routing_key();
    made.queue = from.queue();
    if (properties.headers.empty() || properties.user_id != own_user) {
        return made;
    }
    const auto principal = properties.text(principal_header);
    if (!principal) {
        return made; // the account's own request
    }
    made.again = true;
    made.principal = *principal;
    made.routing_key = properties.text(routing_key_header).value_or(made.routing_key);
    made.queue = properties.text(queue_header).value_or(made.queue);
    made.history = properties.text(history_header).value_or(std::string_view{});
    made.attempts = static_cast<unsigned>(
        std::clamp<std::int64_t>(properties.integer(attempts_header).value_or(0), 0,
                                 std::numeric_limits<std::int32_t>::max()));
    return made;
}

std::string to_seconds_text(core::system_time time) {
    char text[40];
    const auto since = std::chrono::duration_cast<std::chrono::microseconds>(
        std::chrono::floor<std::chrono::seconds>(time.time_since_epoch()));
    return {text, core::format_datetime(since.count(), text)};
}

resender::resender(std::string own_user, std::string node)
    : own_user_(std::move(own_user)), node_(std::move(node)) {}

std::uint64_t resender::send(const amqp::delivery& from, const target& to,
                             amqp::publisher_connection& through, core::system_time now,
                             core::deadline until) {
    const auto& request = from.properties();
    const auto before = origin_of(from, own_user_);
    history_ = before.history;
    const auto event = to.failure != nullptr ? to_string(to.failure->code) : to.told;
    if (!event.empty()) {
        history_.append(history_.empty() ? "" : "; ")
            .append(to_seconds_text(now))
            .append(" ")
            .append(event)
            .append(" ")
            .append(node_);
        if (history_.size() > longest_history) { // the last ones tell most
            const auto first = history_.size() - longest_history;
            const auto next = history_.find("; ", first);
            history_.erase(0, next == std::string::npos ? first : next + 2);
        }
    }
    auto attempts = static_cast<std::int64_t>(before.attempts) + (to.failure != nullptr ? 1 : 0);
    if (!to.told.empty()) {
        attempts = 0;
    }
    headers_.clear();
    for (const auto& header : request.headers) {
        const bool given = std::any_of(to.more.begin(), to.more.end(),
                                       [&](const auto& one) { return one.name == header.name; });
        // Who starts over has the time that the template gives; the first sender's is long gone.
        const bool gone = !to.told.empty() && header.name == deadline_header;
        if (header.type != amqp::header::kind::other && !given && !gone &&
            !is_replaced(header.name)) {
            headers_.push_back(header);
        }
    }
    headers_.insert(headers_.end(), to.more.begin(), to.more.end());
    headers_.push_back(amqp::header::of(principal_header, before.principal));
    headers_.push_back(amqp::header::of(routing_key_header, before.routing_key));
    if (to.told.empty()) { // one that starts over takes whatever way there is today
        headers_.push_back(amqp::header::of(queue_header, before.queue));
    }
    headers_.push_back(amqp::header::of(attempts_header, attempts));
    if (!history_.empty()) {
        headers_.push_back(amqp::header::of(history_header, history_));
    }
    auto properties = request;
    properties.user_id = own_user_;
    properties.mode = amqp::delivery_mode::persistent;
    properties.expiration = to.expiration;
    properties.headers = headers_;
    if (!to.message_id.empty()) {
        properties.message_id = to.message_id;
    }
    if (!to.told.empty()) {
        properties.reply_to = {};
    }
    return through.publish(to.exchange, to.key, properties, to.body.empty() ? from.body() : to.body,
                           amqp::mandatory::yes, until);
}

} // namespace beds::brokers
