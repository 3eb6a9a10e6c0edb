#include "adapters/mariadb/information_schema.hpp"
#include "adapters/mariadb/session.hpp"
#include "adapters/short_reply.hpp"
#include "core/characters.hpp"

#include <beds/core/json.hpp>

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

// As inbox.sql makes the table.
constexpr std::size_t longest_principal = 255; // characters
constexpr std::size_t longest_id = 512;
constexpr std::size_t longest_reply = (std::size_t{1} << 24U) - 1;
/// What a row needs in its packet besides its texts.
constexpr std::size_t row_overhead = 300;

/// Is it this row that the server refuses, and not every one?
bool is_about_row(unsigned number) {
    constexpr unsigned row_too_large = 1118;
    const auto what = classify(number).code;
    return what == core::code::constraint || what == core::code::limit_exceeded ||
           number == row_too_large;
}

/// Not of a server that takes nothing at all at the moment.
bool is_about_inbox(const server_error& why) {
    return classify(why).code != core::code::backend_unavailable || is_misfit(why.number);
}

} // namespace

bool mariadb_session::can_be_stored(const operation_identity& id) {
    if (id.id.size() > longest_id) {
        return false;
    }
    const auto& name = id.principal;
    const auto in_ascii = [](char c) { return static_cast<unsigned char>(c) < 0x80; };
    if (std::all_of(name.begin(), name.end(), in_ascii)) {
        return name.size() <= longest_principal;
    }
    return core::characters_in(name) <= longest_principal && core::is_utf8(name);
}

bool mariadb_session::fits(const sealed_reply& reply) const {
    const auto packet = reply.reply.size() + reply.identity.id.size() +
                        reply.identity.principal.size() + row_overhead;
    return reply.reply.size() <= longest_reply && packet <= connection_.facts().max_packet;
}

step_result mariadb_session::look_up(std::span<const operation_identity> ids, core::arena& memory,
                                     std::vector<stored_reply>& known) {
    std::vector<const operation_identity*> order;
    order.reserve(ids.size());
    for (const auto& id : ids) {
        if (can_be_stored(id)) {
            order.push_back(&id);
        }
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
    const auto why = connection_.error();
    if (!is_about_inbox(why)) {
        log(observe::level::error, "BEDS_MARIADB_INBOX",
            "error " + std::to_string(why.number) + ": " + why.message);
        connection_.close();
        open_ = false;
        return step_result::broken;
    }
    inbox_is_bad(observe::level::error, "BEDS_MARIADB_INBOX", inbox_trouble(why));
    return step_result::no_inbox;
}

write_trouble mariadb_session::inbox_trouble(const server_error& why) const {
    constexpr unsigned no_such_table = 1146;
    write_trouble made;
    made.code = core::code::backend_unavailable;
    if (classify(why).code == core::code::backend_permission_denied) {
        made.code = core::code::backend_permission_denied;
        made.detail = "the database does not allow BEDS to use beds_inbox, and nothing is written "
                      "without it";
    } else if (why.number == no_such_table) {
        made.detail = "the database has no table beds_inbox, and nothing is written without it: "
                      "its DBA runs 'bedsctl schema'";
    } else {
        made.detail = "the table beds_inbox is not as BEDS needs it, and nothing is written "
                      "without it: its DBA runs 'bedsctl schema'";
    }
    made.text = "writes are refused, beds_inbox cannot be used: error " +
                std::to_string(why.number) + ": " + why.message +
                "; its DBA runs: bedsctl schema | mariadb " + settings_->database +
                " (rights: bedsctl schema --grants)";
    return made;
}

void mariadb_session::inbox_is_bad(observe::level how, std::string_view id, write_trouble why) {
    trouble_ = std::move(why);
    if (trouble_.text != trouble_told_) {
        trouble_told_ = trouble_.text;
        log(how, id, trouble_.text);
    }
}

void mariadb_session::look_at_inbox() {
    trouble_ = {};
    const auto unsafe = load_unsafe(connection_, "beds_inbox");
    if (!unsafe && failed(connection_.error()) == ran::ended) {
        return;
    }
    if (unsafe && !unsafe->empty()) {
        inbox_is_bad(observe::level::error, "BEDS_MARIADB_ENGINE",
                     {core::code::backend_unavailable,
                      "the database cannot remember writes at the moment",
                      unsafe_text("the inbox", *unsafe, "all writes are refused")});
        return;
    }
    bool unique = false;
    const bool seen =
        ask(connection_,
            "/* beds inbox.look */ SELECT GROUP_CONCAT(LOWER(column_name) ORDER BY column_name), "
            "CAST(COUNT(sub_part) AS CHAR) FROM information_schema.statistics WHERE table_schema = "
            "COALESCE(?, DATABASE()) AND table_name = ? AND non_unique = 0 GROUP BY index_name",
            split("beds_inbox"), [&](std::span<const raw_cell> cells) {
                unique =
                    unique || (text_of(cells[0]) == "id,principal" && text_of(cells[1]) == "0");
            });
    if (!seen && failed(connection_.error()) == ran::ended) {
        return;
    }
    const bool no_key = seen && !unique;
    for (const std::string_view text :
         {"/* beds inbox.look */ INSERT INTO beds_inbox (principal, id, content, reply) "
          "VALUES (?,?,?,?)",
          "/* beds inbox.look */ SELECT principal, id, content, reply FROM beds_inbox"}) {
        // Preparing looks at the table, its columns and the rights of the account.
        if (connection_.prepared(text) != nullptr) {
            connection_.forget(text);
            continue;
        }
        const auto why = connection_.error();
        if (failed(why) == ran::refused && is_about_inbox(why)) {
            inbox_is_bad(observe::level::error, "BEDS_MARIADB_INBOX", inbox_trouble(why));
        }
        return;
    }
    if (no_key) {
        inbox_is_bad(observe::level::error, "BEDS_MARIADB_INBOX",
                     {core::code::backend_unavailable,
                      "the table beds_inbox is not as BEDS needs it, and nothing is written "
                      "without it: its DBA runs 'bedsctl schema'",
                      "writes are refused, beds_inbox has no unique key (principal, id): what is "
                      "sent twice would be done twice; its DBA makes it as bedsctl schema does: "
                      "ALTER TABLE beds_inbox ADD "
                      "PRIMARY KEY (principal, id)"});
    }
}

step_result mariadb_session::seal(std::span<const sealed_reply> replies) {
    if (over_) {
        return step_result::done;
    }
    const auto step = store(replies);
    if (step != step_result::done && once_) {
        conclude(step, {});
        return step_result::done;
    }
    return step;
}

step_result mariadb_session::store(std::span<const sealed_reply> replies) {
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
    connection_.arm_statements(until_, watching);
    return settled(store_all(replies), watching);
}

step_result mariadb_session::store_all(std::span<const sealed_reply> replies) {
    // In the order of the key, as every broker does it: then they wait for each other and do not
    // deadlock.
    seals_.clear();
    for (const auto& reply : replies) {
        if (can_be_stored(reply.identity)) { // otherwise it was refused, not run
            seals_.push_back(fits(reply) ? &reply : short_reply(reply, results_, *memory_));
        }
    }
    std::sort(seals_.begin(), seals_.end(),
              [](auto* a, auto* b) { return before(a->identity, b->identity); });
    const std::uint64_t room = connection_.facts().max_packet / 2;
    for (std::size_t first = 0; first < seals_.size();) {
        std::size_t size = unpadded_size(seals_.size() - first);
        const auto weight = [&] {
            std::uint64_t sum = 0;
            for (std::size_t i = 0; i < size; ++i) {
                const auto& each = *seals_[first + i];
                sum += each.reply.size() + each.identity.id.size() +
                       each.identity.principal.size() + row_overhead;
            }
            return sum;
        };
        while (size > 1 && weight() > room) {
            size = unpadded_size(size / 2);
        }
        const auto rows = std::span{seals_}.subspan(first, size);
        auto went = store_rows(rows);
        if (went == ran::refused && is_about_row(connection_.error().number)) {
            went = store_one_by_one(rows);
        }
        switch (went) {
        case ran::fine:
            break;
        case ran::ended:
            return ending();
        case ran::refused: {
            switch (classify(connection_.error().number).code) {
            case core::code::duplicate_key:
                return step_result::known_id;
            case core::code::backend_conflict:
                return step_result::rerun; // waited too long for another broker's row
            case core::code::backend_storage_full:
                log(observe::level::error, "BEDS_MARIADB_FULL",
                    "beds_inbox: error " + std::to_string(connection_.error().number) + ": " +
                        connection_.error().message);
                return step_result::full;
            default:
                return inbox_failed();
            }
        }
        }
        first += size;
    }
    if (!trouble_told_.empty()) {
        trouble_told_.clear();
        log(observe::level::info, "BEDS_MARIADB_INBOX", "beds_inbox can be used again");
    }
    return step_result::done;
}

ran mariadb_session::store_rows(std::span<const sealed_reply* const> rows) {
    query_.clear();
    query_.text("/* beds inbox.insert */ INSERT INTO beds_inbox "
                "(principal, id, content, reply) VALUES ");
    std::string_view opening = "(";
    for (const auto* each : rows) {
        query_.text(opening).bind(text(each->identity.principal)).text(",");
        query_.bind(bytes(each->identity.id)).text(",");
        query_.bind(bytes(bytes_of(each->identity.content, *memory_))).text(",");
        query_.bind(bytes(each->reply)).text(")");
        opening = ",(";
    }
    statement* made = nullptr;
    return execute(made);
}

ran mariadb_session::store_one_by_one(std::span<const sealed_reply* const> rows) {
    for (const auto& row : rows) {
        auto went = store_rows({&row, 1});
        if (went == ran::refused && is_about_row(connection_.error().number)) {
            const auto* const shorter = short_reply(*row, results_, *memory_);
            went = store_rows({&shorter, 1});
        }
        if (went != ran::fine) {
            return went;
        }
    }
    return ran::fine;
}

} // namespace beds::adapters::mariadb
