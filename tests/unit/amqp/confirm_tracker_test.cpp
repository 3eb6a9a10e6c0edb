#include "amqp/confirm_tracker.hpp"
#include "support/catch.hpp"

#include <vector>

using beds::amqp::detail::confirm_tracker;
using numbers = std::vector<std::uint64_t>;

TEST_CASE("confirms settle single messages, ranges and everything") {
    confirm_tracker t;
    CHECK(t.settled_up_to() == 0);
    for (std::uint64_t i = 1; i <= 6; ++i) {
        CHECK(t.published(i) == i);
    }
    CHECK(t.outstanding() == 6);

    t.ack(3, false); // out of order
    CHECK(t.settled(3));
    CHECK_FALSE(t.settled(2));
    CHECK(t.settled_up_to() == 0);
    CHECK(t.outstanding() == 5);

    t.ack(2, true);
    CHECK(t.settled_up_to() == 3);
    CHECK(t.outstanding() == 3);

    t.ack(2, true); // again
    t.ack(3, false);
    CHECK(t.outstanding() == 3);

    t.ack(0, true); // everything
    CHECK(t.settled_up_to() == 6);
    CHECK(t.outstanding() == 0);
    CHECK(t.last() == 6);
    CHECK_FALSE(t.settled(7));
}

TEST_CASE("answers for messages that were never published change nothing") {
    confirm_tracker t;
    numbers nacked;
    t.ack(1, false);
    t.ack(9, true);
    t.nack(5, false, nacked);
    t.published(1);
    t.ack(0, false);
    CHECK(nacked.empty());
    CHECK(t.outstanding() == 1);
    t.nack(99, true, nacked);
    CHECK(nacked == numbers{1});
    CHECK(t.outstanding() == 0);
}

TEST_CASE("nacked messages are named once, returned ones not again") {
    confirm_tracker t;
    for (std::uint64_t i = 1; i <= 5; ++i) {
        t.published(i);
    }
    CHECK(t.returned(2) == 2);
    CHECK_FALSE(t.settled(2)); // its confirm is still to come
    CHECK(t.outstanding() == 5);
    t.ack(3, false);
    numbers nacked;
    t.nack(4, true, nacked);
    CHECK(nacked == numbers{1, 4});
    CHECK(t.settled_up_to() == 4);
    CHECK(t.outstanding() == 1);
    CHECK_FALSE(t.settled(5));
}

TEST_CASE("returned messages are found in the order of publishing") {
    confirm_tracker t;
    for (const std::uint64_t fingerprint : {7U, 8U, 7U, 9U, 7U}) {
        t.published(fingerprint);
    }
    CHECK(t.returned(7) == 1);
    CHECK(t.returned(9) == 4);
    CHECK(t.returned(7) == 5);
    // Out of order does not happen; it is found all the same.
    CHECK(t.returned(8) == 2);
    CHECK(t.returned(7) == 3);
    CHECK(t.returned(7) == 0);
    CHECK(t.returned(1234) == 0);
    t.published(5);
    t.ack(6, true);
    CHECK(t.returned(5) == 0); // settled already
}

TEST_CASE("many outstanding messages, in waves") {
    confirm_tracker t;
    std::uint64_t sent = 0;
    std::uint64_t acked = 0;
    for (int wave = 0; wave < 50; ++wave) {
        for (int i = 0; i < 3000; ++i) {
            t.published(sent);
            ++sent;
        }
        CHECK(t.last() == sent);
        acked += 2500;
        t.ack(acked, true);
        CHECK(t.settled_up_to() == acked);
        CHECK(t.outstanding() == sent - acked);
    }
    CHECK(t.returned(acked) == acked + 1);
}

TEST_CASE("a new channel counts from one, the sequence goes on") {
    confirm_tracker t;
    t.published(1);
    t.published(2);
    t.ack(1, false);
    t.restart();
    CHECK(t.outstanding() == 0);
    CHECK(t.published(3) == 3);
    CHECK(t.settled_up_to() == 2);
    t.ack(1, false); // the first of the new channel
    CHECK(t.settled_up_to() == 3);
}
