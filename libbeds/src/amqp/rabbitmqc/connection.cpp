#include "amqp/rabbitmqc/consumer.hpp"
#include "amqp/rabbitmqc/link.hpp"
#include "amqp/rabbitmqc/publisher.hpp"

#include <beds/amqp/connection.hpp>
#include <beds/amqp/topology.hpp>

#include <algorithm>
#include <cerrno>
#include <poll.h>
#include <utility>

namespace beds::amqp {

connection::connection(std::unique_ptr<detail::link> link) : link_(std::move(link)) {}
connection::connection(connection&&) noexcept = default;
connection& connection::operator=(connection&&) noexcept = default;
connection::~connection() = default;

bool connection::is_open() const {
    return link_->is_open();
}
bool connection::channel_open() const {
    return link_->channel_open();
}
bool connection::blocked() const {
    return link_->blocked();
}
const std::string& connection::blocked_reason() const {
    return link_->blocked_reason();
}
int connection::native_socket() const {
    return link_->native_socket();
}
bool connection::buffered() const {
    return link_->buffered();
}
std::chrono::seconds connection::heartbeat() const {
    return link_->heartbeat();
}
void connection::close(core::deadline until) noexcept {
    link_->close(until);
}

wait_result wait(consumer_connection* consumer, publisher_connection* publisher, int event,
                 std::chrono::milliseconds longest) {
    using std::chrono::milliseconds;
    const auto end = std::chrono::steady_clock::now() + longest;
    for (;;) {
        wait_result result;
        result.deliveries = consumer != nullptr && consumer->has_ready();
        result.notice = consumer != nullptr && consumer->has_notice();
        const bool at_once = result.deliveries || result.notice ||
                             (consumer != nullptr && consumer->buffered()) ||
                             (publisher != nullptr && publisher->buffered());
        auto patience = std::chrono::ceil<milliseconds>(end - std::chrono::steady_clock::now());
        patience = std::max(patience, milliseconds{0});
        const auto slice = [&](const connection& of) {
            // Heartbeats are due twice per interval.
            patience = std::min(patience, std::max<milliseconds>(milliseconds{of.heartbeat()} / 4,
                                                                 milliseconds{100}));
        };
        pollfd asked[3] = {{-1, POLLIN, 0}, {-1, POLLIN, 0}, {event, POLLIN, 0}};
        if (consumer != nullptr) {
            asked[0].fd = consumer->native_socket();
            slice(*consumer);
        }
        if (publisher != nullptr) {
            asked[1].fd = publisher->native_socket();
            slice(*publisher);
        }
        const int ready = ::poll(asked, 3, at_once ? 0 : static_cast<int>(patience.count()));
        const bool idle = ready == 0 && !at_once;
        if (consumer != nullptr &&
            (asked[0].fd < 0 || asked[0].revents != 0 || consumer->buffered() || idle)) {
            result.deliveries = consumer->pump();
            result.notice = consumer->has_notice();
        }
        if (publisher != nullptr &&
            (asked[1].fd < 0 || asked[1].revents != 0 || publisher->buffered() || idle)) {
            const bool blocked = publisher->blocked();
            result.publisher = publisher->pump() || blocked != publisher->blocked();
        }
        result.event = asked[2].revents != 0;
        if (result.deliveries || result.publisher || result.event || result.notice) {
            return result;
        }
        if (std::chrono::steady_clock::now() >= end) {
            return result;
        }
    }
}

} // namespace beds::amqp
