#include "common/floor.hpp"

#include "common/fixture.hpp"
#include "common/rabbit.hpp"

#include <chrono>
#include <cstdio>

namespace beds::bench {

echo_floor::echo_floor(const rabbitmq_endpoint& where, std::string queue, unsigned threads,
                       durability kind, std::string reply, std::function<void()> before)
    : where_(where), queue_(std::move(queue)), kind_(kind), reply_(std::move(reply)),
      before_(std::move(before)) {
    {
        const auto setup = open_raw(where_);
        const bool durable = kind_ != durability::transient;
        amqp_table_entry_t type{};
        type.key = bytes("x-queue-type");
        type.value.kind = AMQP_FIELD_KIND_UTF8;
        type.value.value.bytes = bytes("quorum");
        const amqp_table_t quorum{1, &type};
        amqp_queue_declare(setup.get(), 1, bytes(queue_), 0, durable ? 1 : 0, 0, durable ? 0 : 1,
                           kind_ == durability::quorum ? quorum : amqp_empty_table);
        check(setup.get(), "queue.declare");
    }
    for (unsigned i = 0; i < threads; ++i) {
        threads_.emplace_back([this] {
            try {
                serve();
            } catch (const std::exception& failed) {
                std::fprintf(stderr, "floor: %s\n", failed.what());
                std::abort();
            }
        });
    }
    while (ready_ < threads) {
        std::this_thread::sleep_for(std::chrono::milliseconds{1});
    }
}

echo_floor::~echo_floor() {
    stop_ = true;
    for (auto& one : threads_) {
        one.join();
    }
    if (kind_ != durability::transient) {
        const auto cleanup = open_raw(where_);
        amqp_queue_delete(cleanup.get(), 1, bytes(queue_), 0, 0);
    }
}

void echo_floor::serve() {
    const auto consuming = open_raw(where_);
    auto* in = consuming.get();
    const bool confirmed = kind_ != durability::transient;
    const auto publishing = confirmed ? open_raw(where_) : raw_connection{};
    auto* out = confirmed ? publishing.get() : in;
    if (confirmed) {
        amqp_confirm_select(out, 1);
        check(out, "confirm.select");
    }
    amqp_basic_qos(in, 1, 0, 512, 0);
    check(in, "basic.qos");
    amqp_basic_consume(in, 1, bytes(queue_), amqp_empty_bytes, 0, 0, 0, amqp_empty_table);
    check(in, "basic.consume");
    ++ready_;
    std::vector<amqp_envelope_t> batch;
    std::uint64_t published = 0;
    std::uint64_t settled = 0;
    while (!stop_) {
        batch.clear();
        amqp_maybe_release_buffers(in);
        while (batch.size() < 64) {
            amqp_envelope_t got;
            timeval wait{0, batch.empty() ? 100'000 : 0};
            if (amqp_consume_message(in, &got, &wait, 0).reply_type != AMQP_RESPONSE_NORMAL) {
                break;
            }
            batch.push_back(got);
        }
        if (batch.empty()) {
            continue;
        }
        {
            const cork corked{out};
            for (auto& one : batch) {
                if (before_) {
                    before_();
                }
                amqp_basic_properties_t properties{};
                properties._flags = AMQP_BASIC_CORRELATION_ID_FLAG;
                properties.correlation_id = one.message.properties.correlation_id;
                amqp_basic_publish(out, 1, amqp_empty_bytes, one.message.properties.reply_to, 0, 0,
                                   &properties, bytes(reply_));
                ++published;
            }
        }
        while (confirmed && settled < published) {
            amqp_frame_t frame;
            amqp_maybe_release_buffers(out);
            if (amqp_simple_wait_frame(out, &frame) != AMQP_STATUS_OK) {
                throw std::runtime_error("no confirm");
            }
            if (frame.frame_type == AMQP_FRAME_METHOD &&
                frame.payload.method.id == AMQP_BASIC_ACK_METHOD) {
                const auto* ack = static_cast<amqp_basic_ack_t*>(frame.payload.method.decoded);
                settled = ack->multiple ? ack->delivery_tag : settled + 1;
            }
        }
        amqp_basic_ack(in, 1, batch.back().delivery_tag, 1);
        for (auto& one : batch) {
            amqp_destroy_envelope(&one);
        }
    }
}

measurement run_echo(const rabbitmq_endpoint& where, const std::string& queue, unsigned threads,
                     load asked, const std::string& reply) {
    const echo_floor echo{where, queue, threads, asked.kind, reply};
    asked.exchange.clear();
    asked.routing_key = queue;
    asked.verify = [&](std::uint64_t, std::string_view got) { return got == reply; };
    return run_load(where, asked);
}

std::string echo_of_a_fetch() {
    return R"({"v":1,"event":"dev.0000000000000000000000000000",)" + expected_row(bench_rows / 2) +
           "}";
}

std::string echo_of_a_write() {
    return R"({"v":1,"event":"dev.0000000000000000000000000000","status":"ok","effect":"applied","count":1})";
}

} // namespace beds::bench
