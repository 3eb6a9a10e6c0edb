#include "common/latency.hpp"

#include "common/rabbit.hpp"

#include <charconv>
#include <chrono>
#include <optional>
#include <poll.h>
#include <sys/prctl.h>
#include <vector>

namespace beds::bench {
namespace {

using steady = std::chrono::steady_clock;

class caller {
public:
    caller(const rabbitmq_endpoint& where, const load& what)
        : what_(what), in_(open_raw(where)), out_(open_raw(where)), since_(what.messages) {
        const auto* declared =
            amqp_queue_declare(in_.get(), 1, amqp_empty_bytes, 0, 0, 1, 1, amqp_empty_table);
        check(in_.get(), "queue.declare");
        replies_ = std::string{view(declared->queue)};
        amqp_basic_consume(in_.get(), 1, bytes(replies_), amqp_empty_bytes, 0, 1, 0,
                           amqp_empty_table);
        check(in_.get(), "basic.consume");
        ::prctl(PR_SET_TIMERSLACK, 1UL, 0, 0, 0); // waits to the microsecond
    }

    void send(std::uint64_t i, steady::time_point since) {
        since_[i] = since;
        body_.clear();
        what_.make(i, body_);
        char number[24];
        const auto end = std::to_chars(number, number + sizeof number, i).ptr;
        amqp_basic_properties_t properties{};
        properties._flags = AMQP_BASIC_CORRELATION_ID_FLAG | AMQP_BASIC_REPLY_TO_FLAG |
                            AMQP_BASIC_CONTENT_TYPE_FLAG;
        properties.correlation_id = bytes({number, static_cast<std::size_t>(end - number)});
        properties.reply_to = bytes(replies_);
        properties.content_type = bytes("application/json");
        if (amqp_basic_publish(out_.get(), 1, bytes(what_.exchange), bytes(what_.routing_key), 0, 0,
                               &properties, bytes(body_)) != AMQP_STATUS_OK) {
            throw std::runtime_error("publish failed");
        }
    }

    /// Takes the replies that are there, or waits for the first until then. Returns how many.
    std::uint64_t receive(steady::time_point until, std::uint64_t warm_up, latencies& into) {
        std::uint64_t received = 0;
        for (;;) {
            while (take(warm_up, into)) {
                ++received;
            }
            const auto left = until - steady::now();
            if (received != 0 || left <= steady::duration::zero()) {
                return received;
            }
            const auto nanoseconds =
                std::chrono::duration_cast<std::chrono::nanoseconds>(left).count();
            const timespec limit{nanoseconds / 1'000'000'000, nanoseconds % 1'000'000'000};
            pollfd socket{amqp_get_sockfd(in_.get()), POLLIN, 0};
            ::ppoll(&socket, 1, &limit, nullptr);
        }
    }

private:
    bool take(std::uint64_t warm_up, latencies& into) {
        amqp_envelope_t got;
        timeval now{0, 0};
        amqp_maybe_release_buffers(in_.get());
        const auto came = amqp_consume_message(in_.get(), &got, &now, 0);
        if (came.reply_type != AMQP_RESPONSE_NORMAL) {
            if (came.reply_type == AMQP_RESPONSE_LIBRARY_EXCEPTION &&
                came.library_error == AMQP_STATUS_TIMEOUT) {
                return false;
            }
            throw std::runtime_error("the connection for replies broke");
        }
        const auto arrived = steady::now();
        const auto correlation = view(got.message.properties.correlation_id);
        std::uint64_t i = 0;
        std::from_chars(correlation.data(), correlation.data() + correlation.size(), i);
        const auto answer = view(got.message.body);
        if (i >= since_.size() || !what_.verify(i, answer)) {
            if (into.wrong++ == 0) {
                into.first_wrong = std::string{answer.substr(0, 300)};
            }
        } else if (i >= warm_up) {
            into.times.record(arrived - since_[i]);
        }
        amqp_destroy_envelope(&got);
        return true;
    }

    const load& what_;
    raw_connection in_;
    raw_connection out_;
    std::vector<steady::time_point> since_;
    std::string replies_;
    std::string body_;
};

constexpr std::chrono::seconds patience{10};

} // namespace

latencies run_one_by_one(const rabbitmq_endpoint& where, const load& what, std::uint64_t warm_up) {
    caller calls{where, what};
    latencies result;
    for (std::uint64_t i = 0; i < what.messages; ++i) {
        const auto now = steady::now();
        calls.send(i, now);
        if (calls.receive(now + patience, warm_up, result) == 0) {
            throw std::runtime_error("no reply for ten seconds");
        }
    }
    return result;
}

latencies run_open_loop(const rabbitmq_endpoint& where, const load& what, double per_second,
                        std::uint64_t warm_up) {
    caller calls{where, what};
    latencies result;
    const std::chrono::duration<double> period{1.0 / per_second};
    const auto begin = steady::now();
    const auto due = [&](std::uint64_t i) {
        return begin +
               std::chrono::duration_cast<steady::duration>(period * static_cast<double>(i));
    };
    std::uint64_t sent = 0;
    std::uint64_t received = 0;
    auto last = begin;
    while (received < what.messages) {
        while (sent < what.messages && due(sent) <= steady::now()) {
            calls.send(sent, due(sent));
            ++sent;
        }
        const auto until = sent < what.messages ? due(sent) : steady::now() + patience;
        const auto got = calls.receive(until, warm_up, result);
        received += got;
        const auto now = steady::now();
        if (got != 0 || sent == received) {
            last = now;
        } else if (now - last > patience) {
            throw std::runtime_error("no reply for ten seconds");
        }
    }
    return result;
}

} // namespace beds::bench
