#include "common/driver.hpp"

#include "common/rabbit.hpp"
#include "common/requests.hpp"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdlib>

namespace beds::bench {

rabbitmq_endpoint rabbitmq_from_environment() {
    const char* url = std::getenv("AMQP_URL");
    if (url == nullptr) {
        throw std::runtime_error("AMQP_URL is not set; bench/run sets it");
    }
    amqp_connection_info parsed{};
    std::string text{url};
    if (amqp_parse_url(text.data(), &parsed) != AMQP_STATUS_OK) {
        throw std::runtime_error("AMQP_URL is not a URL of AMQP");
    }
    rabbitmq_endpoint made;
    made.host = parsed.host;
    made.port = parsed.port;
    made.user = parsed.user;
    made.password = parsed.password;
    made.vhost = parsed.vhost;
    return made;
}

measurement run_load(const rabbitmq_endpoint& where, const load& what) {
    const auto consuming = open_raw(where);
    const auto publishing = open_raw(where);
    auto* in = consuming.get();
    auto* out = publishing.get();
    const bool confirmed = what.kind != durability::transient;
    if (confirmed) {
        amqp_confirm_select(out, 1);
        check(out, "confirm.select");
    }
    const auto* declared =
        amqp_queue_declare(in, 1, amqp_empty_bytes, 0, 0, 1, 1, amqp_empty_table);
    check(in, "queue.declare");
    const std::string reply_queue{view(declared->queue)};
    amqp_basic_consume(in, 1, bytes(reply_queue), amqp_empty_bytes, 0, 1, 0, amqp_empty_table);
    check(in, "basic.consume");

    const auto per_message = what.operations_per_message;
    const auto total = what.messages * per_message;
    const auto window = std::max(what.window, per_message);
    measurement result;
    std::uint64_t sent = 0;
    std::uint64_t received = 0;
    std::string body;
    char number[24];
    char id[64];
    amqp_basic_properties_t properties{};
    properties._flags =
        AMQP_BASIC_CORRELATION_ID_FLAG | AMQP_BASIC_REPLY_TO_FLAG | AMQP_BASIC_CONTENT_TYPE_FLAG;
    properties.reply_to = bytes(reply_queue);
    properties.content_type = bytes("application/json");
    if (confirmed) {
        properties._flags |= AMQP_BASIC_DELIVERY_MODE_FLAG | AMQP_BASIC_MESSAGE_ID_FLAG;
        properties.delivery_mode = 2;
    }
    const auto begin = std::chrono::steady_clock::now();
    // Differs between runs: an id stands for one message for ever.
    const auto run =
        static_cast<long long>(std::chrono::system_clock::now().time_since_epoch().count());
    const auto first_id = static_cast<std::uint64_t>(run);
    while (received < total) {
        {
            const cork corked{out};
            while (sent < total && sent - received + per_message <= window) {
                const auto i = sent / per_message;
                body.clear();
                what.make(i, body);
                const auto end = std::to_chars(number, number + sizeof number, i).ptr;
                properties.correlation_id = bytes({number, static_cast<std::size_t>(end - number)});
                if (confirmed) {
                    const auto size =
                        what.scattered_ids
                            ? std::snprintf(id, sizeof id, "%016llx-%llx",
                                            scattered(first_id + i) + 0ULL, i + 0ULL)
                            : std::snprintf(id, sizeof id, "%llx-%llx", run, i + 0ULL);
                    properties.message_id = bytes({id, static_cast<std::size_t>(size)});
                }
                if (amqp_basic_publish(out, 1, bytes(what.exchange), bytes(what.routing_key),
                                       confirmed ? 1 : 0, 0, &properties,
                                       bytes(body)) != AMQP_STATUS_OK) {
                    throw std::runtime_error("publish failed");
                }
                sent += per_message;
            }
        }
        if (confirmed) { // read the confirms that are there
            for (;;) {
                amqp_frame_t frame;
                timeval now{0, 0};
                amqp_maybe_release_buffers(out);
                if (amqp_simple_wait_frame_noblock(out, &frame, &now) != AMQP_STATUS_OK) {
                    break;
                }
            }
        }
        bool first = true;
        for (;;) {
            amqp_envelope_t got;
            timeval wait{first ? 10 : 0, 0};
            amqp_maybe_release_buffers(in);
            if (amqp_consume_message(in, &got, &wait, 0).reply_type != AMQP_RESPONSE_NORMAL) {
                if (first) {
                    throw std::runtime_error("no reply for ten seconds");
                }
                break;
            }
            first = false;
            const auto correlation = view(got.message.properties.correlation_id);
            std::uint64_t i = 0;
            std::from_chars(correlation.data(), correlation.data() + correlation.size(), i);
            const auto answer = view(got.message.body);
            if (!what.verify(i, answer)) {
                if (result.wrong++ == 0) {
                    result.first_wrong = std::string{answer.substr(0, 300)};
                }
            }
            received += per_message;
            amqp_destroy_envelope(&got);
        }
    }
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    result.operations = total;
    result.operations_per_second = static_cast<double>(total) / took.count();
    return result;
}

} // namespace beds::bench
