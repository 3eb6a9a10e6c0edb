#pragma once

#include <cstdint>
#include <vector>

namespace beds::amqp::detail {

/// Which published messages RabbitMQ has answered for. Knows no sockets.
///
/// A returned message carries no number; it is recognised by a fingerprint of what identifies it.
/// RabbitMQ returns messages in the order in which they were published, before it confirms them.
class confirm_tracker {
public:
    /// Returns the sequence number: 1, 2, 3 …
    std::uint64_t published(std::uint64_t fingerprint);

    /// Numbers of refused messages are appended to `nacked`, except those that were returned.
    void ack(std::uint64_t tag, bool multiple) { settle(tag, multiple, nullptr); }
    void nack(std::uint64_t tag, bool multiple, std::vector<std::uint64_t>& nacked) {
        settle(tag, multiple, &nacked);
    }
    /// The message that came back; 0 when none fits.
    std::uint64_t returned(std::uint64_t fingerprint);

    /// A new channel: RabbitMQ counts from 1 again and will not answer for what is outstanding.
    void restart();

    [[nodiscard]] std::uint64_t last() const { return next_ - 1; }
    [[nodiscard]] std::uint64_t settled_up_to() const { return base_ - 1; }
    [[nodiscard]] bool settled(std::uint64_t sequence) const;
    [[nodiscard]] std::uint64_t outstanding() const { return outstanding_; }

private:
    struct entry {
        std::uint64_t fingerprint;
        bool settled;
        bool returned;
    };
    [[nodiscard]] entry& at(std::uint64_t sequence) { return ring_[sequence & (ring_.size() - 1)]; }
    [[nodiscard]] const entry& at(std::uint64_t sequence) const {
        return ring_[sequence & (ring_.size() - 1)];
    }
    void settle(std::uint64_t tag, bool multiple, std::vector<std::uint64_t>* nacked);
    void settle_one(std::uint64_t sequence, std::vector<std::uint64_t>* nacked);
    void grow();

    std::vector<entry> ring_ = std::vector<entry>(1024); ///< size is a power of two
    std::uint64_t base_ = 1;                             ///< first that is not settled
    std::uint64_t next_ = 1;
    std::uint64_t before_ = 0; ///< sequence numbers of earlier channels
    std::uint64_t outstanding_ = 0;
    std::uint64_t last_returned_ = 0;
};

} // namespace beds::amqp::detail
