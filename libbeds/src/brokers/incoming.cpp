#include "brokers/incoming.hpp"

#include "core/epoch.hpp"

#include <beds/amqp/topology.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>

namespace beds::brokers {

using core::code;
using core::outcome;

namespace {

/// Of a request. Its own, not those that nodes and RabbitMQ add.
constexpr std::size_t most_headers = 64;
constexpr std::size_t longest_event = 255;
constexpr std::int64_t greatest_depth = 1'000'000;

/// Only what every AMQP client means by "this is JSON text".
bool acceptable_encoding(std::string_view encoding) {
    return encoding.empty() || encoding == "utf-8" || encoding == "UTF-8" || encoding == "identity";
}

bool acceptable_type(std::string_view type) {
    return type.empty() || type == "application/json" || type.starts_with("application/json;");
}

/// Nobody's request fails because of where it says that it comes from: what is none is left out.
void read_lineage(const amqp::properties& from, core::request& into) {
    const auto event = from.text("beds-event");
    if (!event || event->size() > longest_event) {
        return;
    }
    into.event = *event;
    const auto depth = from.integer("beds-depth").value_or(0);
    into.depth = static_cast<std::uint32_t>(std::clamp<std::int64_t>(depth, 0, greatest_depth));
}

} // namespace

std::optional<outcome> read_properties(const amqp::delivery& from, std::string_view own_user,
                                       core::request& into) {
    const auto& properties = from.properties();
    if (from.headers_truncated() ||
        (properties.headers.size() > most_headers && properties.user_id != own_user)) {
        // A deadline could stand among those that were not kept.
        return outcome::failure(code::invalid_envelope, "the message has too many headers",
                                "headers");
    }
    if (!acceptable_type(properties.content_type)) {
        return outcome::failure(code::invalid_envelope, "content_type must be application/json",
                                "content_type");
    }
    if (!acceptable_encoding(properties.content_encoding)) {
        return outcome::failure(code::invalid_envelope,
                                "content_encoding must be absent, utf-8 or identity",
                                "content_encoding");
    }
    if (properties.find("beds-deadline") != nullptr) {
        const auto given = properties.integer("beds-deadline");
        into.deadline = given ? core::time_from_epoch(*given) : std::nullopt;
        if (!into.deadline) {
            return outcome::failure(
                code::invalid_envelope,
                "the header beds-deadline must be milliseconds since 1970-01-01 UTC",
                "beds-deadline");
        }
    }
    if (properties.find(amqp::order_header) != nullptr) {
        into.order = properties.text(amqp::order_header);
        if (!into.order) { // RabbitMQ would lead the number to another lane than its text
            return outcome::failure(code::invalid_envelope, "the header beds-order must be a text",
                                    "beds-order");
        }
    }
    if (const auto form = properties.text("beds-int64")) {
        into.int64_as_string = *form == "string";
    }
    read_lineage(properties, into);
    return std::nullopt;
}

bool takes_parts(const amqp::delivery& from) {
    const auto& properties = from.properties();
    return !properties.headers.empty() && !properties.reply_to.empty() &&
           !properties.reply_to.starts_with(direct_reply_to) &&
           (properties.integer("beds-parts") == 1 || properties.text("beds-parts") == "true");
}

std::string_view routed_name(std::string_view key) {
    const auto dot = key.rfind('.');
    return dot == std::string_view::npos ? key : key.substr(0, dot);
}

} // namespace beds::brokers
