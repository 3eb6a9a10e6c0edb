#include "inbox.hpp"

#include <array>
#include <chrono>
#include <cstring>
#include <string_view>

namespace beds_sqlite {

using beds::core::arena;
using beds::core::content_hash;
using beds::core::system_time;

namespace {

std::int64_t seconds_of(system_time when) {
    return std::chrono::duration_cast<std::chrono::seconds>(when.time_since_epoch()).count();
}

using hash_bytes = std::array<char, sizeof(content_hash::high) + sizeof(content_hash::low)>;

/// Only ever compared with what this machine wrote, so the order of bytes does not matter.
hash_bytes bytes_of(const content_hash& hash) {
    hash_bytes bytes{};
    std::memcpy(bytes.data(), &hash.high, sizeof hash.high);
    std::memcpy(bytes.data() + sizeof hash.high, &hash.low, sizeof hash.low);
    return bytes;
}

content_hash hash_of(std::string_view bytes) {
    content_hash hash;
    if (bytes.size() == hash_bytes{}.size()) {
        std::memcpy(&hash.high, bytes.data(), sizeof hash.high);
        std::memcpy(&hash.low, bytes.data() + sizeof hash.high, sizeof hash.low);
    }
    return hash;
}

} // namespace

void make_inbox(database& in) {
    in.execute("CREATE TABLE IF NOT EXISTS beds_inbox ("
               "principal TEXT NOT NULL, id TEXT NOT NULL, content BLOB NOT NULL, "
               "reply BLOB NOT NULL, sealed_at INT NOT NULL, " // seconds since 1970
               "PRIMARY KEY (principal, id)) STRICT");
    in.execute("CREATE INDEX IF NOT EXISTS beds_inbox_by_age ON beds_inbox (sealed_at)");
}

void find_replies(database& in, std::span<const operation_identity> ids, arena& memory,
                  std::vector<stored_reply>& known) {
    for (const auto& id : ids) {
        auto found =
            in.prepare("SELECT content, reply FROM beds_inbox WHERE principal = ? AND id = ?");
        found.bind_text(1, id.principal);
        found.bind_text(2, id.id);
        if (found.step()) {
            known.push_back({id.index, hash_of(found.bytes(0)), memory.copy(found.bytes(1))});
        }
    }
}

bool add_replies(database& in, std::span<const sealed_reply> replies, system_time now) {
    for (const auto& each : replies) {
        const auto content = bytes_of(each.identity.content);
        auto added = in.prepare("INSERT INTO beds_inbox VALUES (?, ?, ?, ?, ?) "
                                "ON CONFLICT (principal, id) DO NOTHING");
        added.bind_text(1, each.identity.principal);
        added.bind_text(2, each.identity.id);
        added.bind_blob(3, {content.data(), content.size()});
        added.bind_blob(4, each.reply);
        added.bind_integer(5, seconds_of(now));
        added.finish();
        if (in.changed_rows() == 0) {
            return false;
        }
    }
    return true;
}

void forget_replies(database& in, system_time before, std::size_t at_most) {
    auto removed = in.prepare("DELETE FROM beds_inbox WHERE rowid IN "
                              "(SELECT rowid FROM beds_inbox WHERE sealed_at < ? LIMIT ?)");
    removed.bind_integer(1, seconds_of(before));
    removed.bind_integer(2, static_cast<std::int64_t>(at_most));
    removed.finish();
}

} // namespace beds_sqlite
