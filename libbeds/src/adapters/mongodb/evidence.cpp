#include "adapters/mongodb/evidence.hpp"

#include <algorithm>

namespace beds::adapters::mongodb {

write_token write_token::make(std::chrono::milliseconds since_1970) {
    bson_oid_t made;
    bson_oid_init(&made, nullptr);
    write_token token;
    std::copy(std::begin(made.bytes), std::end(made.bytes), token.bytes.begin());
    const auto seconds = static_cast<std::uint32_t>(
        std::chrono::duration_cast<std::chrono::seconds>(since_1970).count());
    for (std::size_t i = 0; i < 4; ++i) {
        token.bytes[i] = static_cast<std::uint8_t>(seconds >> (24U - 8U * i));
    }
    return token;
}

std::chrono::seconds write_token::seconds() const {
    std::uint32_t made = 0;
    for (std::size_t i = 0; i < 4; ++i) {
        made = (made << 8U) | bytes[i];
    }
    return std::chrono::seconds{made};
}

evidence read_ring(const bson_iter_t* ring, const write_token& wanted) {
    bson_iter_t item;
    if (ring == nullptr || !BSON_ITER_HOLDS_ARRAY(ring) || !bson_iter_recurse(ring, &item)) {
        return evidence::lost;
    }
    bool first = true;
    bool covers = false;
    while (bson_iter_next(&item)) {
        if (!BSON_ITER_HOLDS_OID(&item)) {
            return evidence::lost; // nothing of ours
        }
        write_token entry;
        const auto* const id = bson_iter_oid(&item);
        std::copy(std::begin(id->bytes), std::end(id->bytes), entry.bytes.begin());
        if (entry == wanted) {
            return evidence::token;
        }
        if (first) {
            // What leaves the ring entered before its oldest entry did. When that one is older than
            // the intent, nothing of this attempt can have left.
            covers = entry.seconds() + ring_margin < wanted.seconds();
            first = false;
        }
    }
    return covers ? evidence::none_since : evidence::lost;
}

verdict settle(write_kind what, evidence found) {
    switch (what) {
    case write_kind::insert:
        // A document that is not there may have been inserted and deleted; one that is there
        // without the token is somebody else's, perhaps in its place.
        return found == evidence::token ? verdict::applied : verdict::unknown;
    case write_kind::change:
        return found == evidence::token        ? verdict::applied
               : found == evidence::none_since ? verdict::run
                                               : verdict::unknown;
    case write_kind::remove:
        // Marked and still there, or never marked: it was not deleted.
        return found == evidence::token || found == evidence::none_since ? verdict::run
                                                                         : verdict::unknown;
    case write_kind::many:
        return verdict::run;
    }
    return verdict::unknown;
}

intent_state read_events(const bson_iter_t* events, const write_token& began) {
    intent_state state;
    state.owner = began;
    bson_iter_t item;
    if (events == nullptr || !BSON_ITER_HOLDS_ARRAY(events) || !bson_iter_recurse(events, &item)) {
        return state;
    }
    const auto token = [](const bson_iter_t& at) {
        write_token made;
        const auto* const id = bson_iter_oid(&at);
        std::copy(std::begin(id->bytes), std::end(id->bytes), made.bytes.begin());
        return made;
    };
    while (!state.replied && bson_iter_next(&item)) {
        bson_iter_t author;
        bson_iter_t member;
        if (!bson_iter_recurse(&item, &author) || !bson_iter_find(&author, "k") ||
            !BSON_ITER_HOLDS_OID(&author) || !(token(author) == state.owner)) {
            continue;
        }
        if (bson_iter_recurse(&item, &member) && bson_iter_find(&member, "r") &&
            BSON_ITER_HOLDS_BINARY(&member)) {
            std::uint32_t size = 0;
            const std::uint8_t* data = nullptr;
            bson_subtype_t subtype{};
            bson_iter_binary(&member, &subtype, &size, &data);
            state.replied = true;
            state.reply = {reinterpret_cast<const char*>(data), size};
        } else if (bson_iter_recurse(&item, &member) && bson_iter_find(&member, "o") &&
                   BSON_ITER_HOLDS_OID(&member)) {
            state.owner = token(member);
            if (bson_iter_recurse(&item, &member) && bson_iter_find(&member, "t") &&
                BSON_ITER_HOLDS_DATE_TIME(&member)) {
                state.since = std::chrono::milliseconds{bson_iter_date_time(&member)};
            }
        }
    }
    return state;
}

evidence together(std::span<const evidence> rows) {
    const auto all = [&](evidence what) {
        return std::all_of(rows.begin(), rows.end(), [&](evidence one) { return one == what; });
    };
    return rows.empty()                 ? evidence::lost
           : rows.size() == 1           ? rows.front()
           : all(evidence::token)       ? evidence::token
           : all(evidence::no_document) ? evidence::no_document
                                        : evidence::lost;
}

} // namespace beds::adapters::mongodb
