#include "adapters/mariadb/session.hpp"

#include <algorithm>
#include <cstring>

namespace beds::adapters::mariadb {
namespace {

constexpr std::size_t hash_bytes = 16;

std::string_view bytes_of(core::content_hash hash, core::arena& memory) {
    const auto room = memory.make_span<char>(hash_bytes);
    for (std::size_t i = 0; i < 8; ++i) {
        room[i] = static_cast<char>(static_cast<unsigned char>(hash.high >> (56U - 8U * i)));
        room[i + 8] = static_cast<char>(static_cast<unsigned char>(hash.low >> (56U - 8U * i)));
    }
    return {room.data(), room.size()};
}

core::content_hash hash_of(std::string_view bytes) {
    core::content_hash made;
    if (bytes.size() == hash_bytes) {
        for (std::size_t i = 0; i < 8; ++i) {
            made.high = (made.high << 8U) | static_cast<unsigned char>(bytes[i]);
            made.low = (made.low << 8U) | static_cast<unsigned char>(bytes[i + 8]);
        }
    }
    return made;
}

core::value text(std::string_view of) {
    return core::value::of_text(core::value::kind::string, of);
}

core::value bytes(std::string_view of) {
    return core::value::of_text(core::value::kind::bytes, of);
}

bool before(const operation_identity& left, const operation_identity& right) {
    return left.principal != right.principal ? left.principal < right.principal
                                             : left.id < right.id;
}

} // namespace

step_result mariadb_session::look_up(std::span<const operation_identity> ids, core::arena& memory,
                                     std::vector<stored_reply>& known) {
    std::vector<const operation_identity*> order;
    order.reserve(ids.size());
    for (const auto& id : ids) {
        order.push_back(&id);
    }
    std::sort(order.begin(), order.end(), [](auto* a, auto* b) { return before(*a, *b); });
    for (std::size_t first = 0; first < order.size(); first += most_in_one_statement) {
        const auto chunk =
            std::span{order}.subspan(first, std::min(most_in_one_statement, order.size() - first));
        query_.clear();
        query_.text("/* beds inbox.find */ SELECT principal, id, content, reply FROM beds_inbox "
                    "WHERE (principal, id) IN (");
        const std::size_t size = padded_size(chunk.size());
        for (std::size_t i = 0; i < size; ++i) {
            const auto& id = *chunk[std::min(i, chunk.size() - 1)];
            query_.text(i == 0 ? "(" : ",(").bind(text(id.principal)).text(",");
            query_.bind(bytes(id.id)).text(")");
        }
        query_.text(")");
        statement* made = nullptr;
        ran went = execute(made);
        statement::fetched row{};
        while (went == ran::fine && (row = made->fetch()) == statement::fetched::row) {
            const auto cells = made->cells();
            const operation_identity found{0, cells[0].text(), cells[1].text(), {}};
            auto match = std::lower_bound(chunk.begin(), chunk.end(), &found,
                                          [](auto* a, auto* b) { return before(*a, *b); });
            const core::content_hash content = hash_of(cells[2].text());
            std::string_view reply;
            for (; match != chunk.end() && !before(found, **match); ++match) {
                if (reply.data() == nullptr) {
                    reply = memory.copy(cells[3].text());
                }
                known.push_back({(*match)->index, content, reply});
            }
        }
        if (went == ran::fine) {
            went = fetched(*made, row);
        }
        if (went == ran::refused) {
            // Without the inbox nothing may be written: whether it happened before is not known.
            return inbox_failed();
        }
        if (went == ran::ended) {
            return ending();
        }
    }
    return step_result::done;
}

step_result mariadb_session::inbox_failed() {
    log(observe::level::error, "BEDS_MARIADB_INBOX",
        "error " + std::to_string(connection_.error().number) + ": " + connection_.error().message);
    connection_.close();
    open_ = false;
    return step_result::broken;
}

step_result mariadb_session::seal(std::span<const sealed_reply> replies) {
    if (!usable()) {
        return step_result::broken;
    }
    if (kind_ == work_kind::read || replies.empty() || !settings_->inbox) {
        return step_result::done;
    }
    if (until_.expired()) {
        return step_result::expired;
    }
    connection::guard watching;
    connection_.arm(until_, watching);
    // In the order of the key, as every broker does it: then they wait for each other and do not
    // deadlock.
    seals_.clear();
    for (const auto& reply : replies) {
        seals_.push_back(&reply);
    }
    std::sort(seals_.begin(), seals_.end(),
              [](auto* a, auto* b) { return before(a->identity, b->identity); });
    const std::uint64_t room = connection_.facts().max_packet / 2;
    for (std::size_t first = 0; first < seals_.size();) {
        std::size_t size = unpadded_size(seals_.size() - first);
        const auto weight = [&] {
            std::uint64_t sum = 0;
            for (std::size_t i = 0; i < size; ++i) {
                sum +=
                    seals_[first + i]->reply.size() + seals_[first + i]->identity.id.size() + 300;
            }
            return sum;
        };
        while (size > 1 && weight() > room) {
            size = unpadded_size(size / 2);
        }
        query_.clear();
        query_.text("/* beds inbox.insert */ INSERT INTO beds_inbox "
                    "(principal, id, content, reply) VALUES ");
        for (std::size_t i = 0; i < size; ++i) {
            const sealed_reply& each = *seals_[first + i];
            query_.text(i == 0 ? "(" : ",(").bind(text(each.identity.principal)).text(",");
            query_.bind(bytes(each.identity.id)).text(",");
            query_.bind(bytes(bytes_of(each.identity.content, *memory_))).text(",");
            query_.bind(bytes(each.reply)).text(")");
        }
        statement* made = nullptr;
        switch (execute(made)) {
        case ran::fine:
            break;
        case ran::ended:
            return ending();
        case ran::refused: {
            if (classify(connection_.error().number).code == core::code::duplicate_key) {
                return step_result::known_id;
            }
            if (classify(connection_.error().number).code == core::code::backend_conflict) {
                return step_result::rerun; // waited too long for another broker's row
            }
            return inbox_failed();
        }
        }
        first += size;
    }
    return step_result::done;
}

} // namespace beds::adapters::mariadb
